use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::mapping::laws::Chance;
use crate::mapping::plan::Tree;
use crate::mapping::schema::UnifiedSchema;
use crate::model::{FieldLimits, FieldOption};

/// A rule of that kind of wire: HubSpot's texts, Pipedrive's objects, and one with text dates in UTC.
fn custom(wire: &str) -> Custom {
    let rule = match wire {
        "text" => json!({"from": "properties.*", "values": "text", "multiple": ";"}),
        "objects" => json!({"from": "custom_fields.*", "values": "json", "options": "number", "forms": {
            "money": {"amount": "value", "currency": "currency"},
            "time": {"value": "value"},
            "date_range": {"start": "value", "end": "until"},
            "time_range": {"start": "value", "end": "until"},
            "address": {"line1": "route", "city": "locality", "country": "country", "string": "value"},
        }}),
        _ => json!({"from": "*", "values": "json", "options": "number", "forms": {
            "datetime": "datetime/space", "boolean": "boolean/number", "date": "date/epoch_ms",
        }}),
    };
    let schema = UnifiedSchema::from_openapi(crate::contract::document(), "Contact").unwrap();
    let field = schema.field("custom_fields").unwrap();
    Custom::compile(&rule, field, &Value::Null, &mut Tree::default()).unwrap()
}

fn definition(kind: FieldKind) -> FieldDefinition {
    let option = |id: &str, label: &str| FieldOption { id: id.to_owned(), label: label.to_owned() };
    let many = kind.is_choice() || kind.is_choices();
    FieldDefinition {
        id: "it".to_owned(),
        name: "It".to_owned(),
        description: None,
        kind,
        custom: true,
        read_only: false,
        required: false,
        limits: FieldLimits::default(),
        options: if many {
            vec![option("5", "Gold"), option("6", "Silver"), option("7", "gold")]
        } else {
            Vec::new()
        },
    }
}

const EUR: Around<'static> = Around { currency: Some("EUR"), zone: None };

/// One row per kind and wire: unified value, wire value.
#[test]
fn every_kind_is_written_and_read_back() {
    use FieldKind::*;
    let rows: &[(FieldKind, &str, Value, Value)] = &[
        (Text, "text", json!("a \"b\""), json!("a \"b\"")),
        (Textarea, "objects", json!("a\nb"), json!("a\nb")),
        (Html, "text", json!("<b>a</b>"), json!("<b>a</b>")),
        (Integer, "text", json!(7), json!("7")),
        (Integer, "objects", json!(200), json!(200)),
        (Number, "text", json!(12.5), json!("12.5")),
        (Decimal, "objects", json!(1250.33), json!(1250.33)),
        (Decimal, "objects", json!(1300), json!(1300)),
        (
            Money,
            "objects",
            json!({"amount": 1250, "currency": "EUR"}),
            json!({"value": 12.5, "currency": "EUR"}),
        ),
        (Money, "objects", json!({"amount": 5, "currency": "JPY"}), json!({"value": 5, "currency": "JPY"})),
        (Money, "text", json!({"amount": 1250, "currency": "EUR"}), json!("12.5")),
        (Boolean, "text", json!(true), json!("true")),
        (Boolean, "objects", json!(false), json!(false)),
        (Boolean, "space", json!(true), json!(1)),
        (Date, "text", json!("2020-11-26"), json!("2020-11-26")),
        (Date, "space", json!("1970-01-02"), json!(86_400_000)),
        (Datetime, "text", json!("2020-11-26T06:00:00Z"), json!("2020-11-26T06:00:00Z")),
        (Datetime, "space", json!("2020-11-26T06:00:00Z"), json!("2020-11-26 06:00:00")),
        (Time, "text", json!("09:30:00"), json!("09:30:00")),
        (Time, "objects", json!("09:30:00"), json!({"value": "09:30:00"})),
        (
            DateRange,
            "objects",
            json!({"start": "2026-01-01", "end": "2026-12-31"}),
            json!({"value": "2026-01-01", "until": "2026-12-31"}),
        ),
        (
            TimeRange,
            "objects",
            json!({"start": "22:00:00", "end": "06:00:00"}),
            json!({"value": "22:00:00", "until": "06:00:00"}),
        ),
        (Select, "text", json!("5"), json!("5")),
        (Select, "objects", json!(5), json!(5)),
        (Radio, "objects", json!(6), json!(6)),
        (Multiselect, "text", json!(["5", "6"]), json!("5;6")),
        (Multiselect, "objects", json!([5, 6]), json!([5, 6])),
        (Checkbox, "objects", json!([5]), json!([5])),
        (Url, "text", json!("https://www.iacrn.com.br"), json!("https://www.iacrn.com.br")),
        (Email, "text", json!("a@example.com"), json!("a@example.com")),
        (Phone, "text", json!("+1 202 555 0123"), json!("+1 202 555 0123")),
        (Color, "objects", json!("#333333"), json!("#333333")),
        (Timezone, "text", json!("America/Toronto"), json!("America/Toronto")),
        (User, "text", json!("888"), json!("888")),
        (User, "objects", json!("888"), json!(888)),
        (Reference, "objects", json!("12"), json!(12)),
        (
            Address,
            "objects",
            json!({"line1": "Main St", "city": "Ghent", "country": "BE", "string": null}),
            json!({"route": "Main St", "locality": "Ghent", "country": "BE"}),
        ),
        (File, "text", json!("123456"), json!("123456")),
        (Other, "objects", json!({"a": [1]}), json!({"a": [1]})),
    ];
    for kind in FieldKind::ALL {
        assert!(rows.iter().any(|(known, ..)| *known == kind), "{kind:?} has no row");
    }
    for (kind, wire, unified, raw) in rows {
        let custom = custom(wire);
        let definition = definition(*kind);
        assert_eq!(custom.wire(unified, Some(&definition), EUR).as_ref(), Ok(raw), "{kind:?} {wire}");
        let mut out = Vec::new();
        custom.value(&raw.to_string(), Some(&definition), EUR, &mut out).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), *unified, "{kind:?} {wire}");
    }
}

/// One row per way to be wrong: what is sent, and what the sentence must say.
#[test]
fn what_a_field_does_not_take_is_refused_with_what_it_takes() {
    use FieldKind::*;
    let limited = |kind, limits| FieldDefinition { limits, ..definition(kind) };
    let number = |text: &str| serde_json::from_str(text).ok();
    let rows: Vec<(FieldDefinition, Value, &str)> = vec![
        (definition(Text), json!(5), "`It` takes text; a number is none"),
        (definition(Text), json!(["a"]), "`It` takes text; a list is none"),
        (
            limited(Text, FieldLimits { max_length: Some(3), ..FieldLimits::default() }),
            json!("four"),
            "`It` takes text of at most 3 characters; the text is longer",
        ),
        (definition(Integer), json!(1.5), "`It` takes a whole number; this one has a fraction"),
        (definition(Number), json!("much"), "`It` takes a number; text is none"),
        (definition(Number), json!(true), "`It` takes a number; a boolean is none"),
        (
            limited(
                Number,
                FieldLimits { minimum: number("0"), maximum: number("10"), ..FieldLimits::default() },
            ),
            json!(11),
            "`It` takes a number, 0 or more, 10 or less; this one is more",
        ),
        (
            limited(Number, FieldLimits { minimum: number("0.5"), ..FieldLimits::default() }),
            json!(0.25),
            "`It` takes a number, 0.5 or more; this one is less",
        ),
        (
            limited(Decimal, FieldLimits { decimals: Some(3), ..FieldLimits::default() }),
            json!(1.2345),
            "`It` takes a number, with at most 3 decimals; this one has more",
        ),
        (definition(Money), json!({"amount": 1.5, "currency": "EUR"}), "smallest unit"),
        (definition(Money), json!({"amount": 1, "currency": "euros"}), "smallest unit"),
        (definition(Boolean), json!("yes"), "`It` takes true or false; text is none"),
        (definition(Date), json!("2031-02-30"), "`It` takes a date such as 2031-05-17; the text is none"),
        (definition(Date), json!("2031-02-20T00:00:00Z"), "a date such as"),
        (definition(Datetime), json!("2031-02-20"), "a point in time such as 2031-05-17T09:30:00Z"),
        (definition(Time), json!("25:00"), "a time of day such as 09:30:00"),
        (definition(DateRange), json!({"start": "2031-02-02", "end": "2031-02-01"}), "ends before it starts"),
        (definition(TimeRange), json!({"start": "09:30"}), "two times of day"),
        (
            definition(Select),
            json!("Silber"),
            "`It` takes one of `5` (Gold), `6` (Silver), `7` (gold); the value is none of them; did you mean `Silver`?",
        ),
        (definition(Select), json!("GOLD"), "several have that label, so the id is needed"),
        (definition(Radio), json!(["5"]), "a list is none of them"),
        (definition(Multiselect), json!(["5", "9"]), "a list of any of `5` (Gold)"),
        (definition(Url), json!("example"), "a web address such as https://example.com"),
        (definition(Url), json!("javascript:alert(1)"), "a web address"),
        (definition(Email), json!("a@"), "an e-mail address"),
        (definition(Phone), json!("none"), "a phone number"),
        (definition(Color), json!("333333"), "a colour such as #333333"),
        (definition(Timezone), json!("Mars/Olympus"), "an IANA time zone such as Europe/Brussels"),
        (definition(User), json!("ada"), "the id of a user"),
        (definition(Reference), json!(1.5), "the id of a record"),
        (
            definition(Address),
            json!({"planet": "Mars"}),
            "an address: a text, or an object of any of string, line1",
        ),
        (definition(File), json!(5), "the id or address of a file"),
    ];
    let custom = custom("objects");
    for (definition, value, says) in rows {
        let message = custom.wire(&value, Some(&definition), EUR).unwrap_err();
        assert!(message.contains(says), "{:?} {value}: {message}", definition.kind);
        assert!(message.contains("`It`"), "{message}");
    }
}

#[test]
fn options_go_by_id_or_label_and_come_back_as_ids() {
    let custom = custom("objects");
    for value in [json!(6), json!("6"), json!("Silver"), json!("silver")] {
        assert_eq!(custom.wire(&value, Some(&definition(FieldKind::Select)), EUR), Ok(json!(6)), "{value}");
    }
    let several = custom.wire(&json!(["Silver", 5, "6"]), Some(&definition(FieldKind::Checkbox)), EUR);
    assert_eq!(several, Ok(json!([6, 5])));
}

#[test]
fn a_long_list_of_options_is_cut() {
    let options = (0..300).map(|n| FieldOption { id: n.to_string(), label: format!("Option {n}") }).collect();
    let definition = FieldDefinition { options, ..definition(FieldKind::Select) };
    let message = custom("objects").wire(&json!("x"), Some(&definition), EUR).unwrap_err();
    assert!(message.contains("and 290 more") && message.len() < 400, "{message}");
}

proptest! {
    /// Whatever can be written comes back as it was, for every kind on every wire.
    #[test]
    fn values_survive_the_way_there_and_back(seed in any::<u64>()) {
        let mut chance = Chance(seed);
        for wire in ["text", "objects", "space"] {
            let custom = custom(wire);
            for definition in law::definitions().fields {
                let Some(value) = law::one(&custom, definition.kind, &mut chance) else { continue };
                let around = Around { currency: Some("USD"), zone: None };
                let sent = custom.wire(&value, Some(&definition), around);
                prop_assert!(sent.is_ok(), "{wire} {:?} {value}: {sent:?}", definition.kind);
                let mut out = Vec::new();
                custom.value(&sent.unwrap().to_string(), Some(&definition), around, &mut out).unwrap();
                let mut back: Value = serde_json::from_slice(&out).unwrap();
                if let (Value::Object(back), Value::Object(meant)) = (&mut back, &value) {
                    back.retain(|part, value| !value.is_null() || meant.contains_key(part));
                }
                prop_assert_eq!(back, value, "{} {:?}", wire, definition.kind);
            }
        }
    }
}
