//! Explanations are true: on made-up records of every shipped mapping, the raw value that is claimed, run through the codec
//! that is claimed, gives the field that was delivered; and nothing delivered goes unexplained.

use serde_json::json;

use super::super::compile::value::codec_of;
use super::super::path::Step;
use super::super::rule::{Field, Item, Rule, field_paths};
use super::super::tests::shipped;
use super::super::{Records, read_page};
use super::*;
use crate::model::{FieldDefinition, FieldDefinitions, FieldKind, FieldMask};

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn raw(&mut self) -> Value {
        let values = [
            json!(null),
            json!(""),
            json!("Ada"),
            json!("12"),
            json!("12.5"),
            json!("true"),
            json!("USD"),
            json!("JPY"),
            json!("2024-02-29"),
            json!("2024-02-29T01:02:03Z"),
            json!("2024-02-29 01:02:03"),
            json!("1709168523000"),
            json!("a;b"),
            json!("<p>x</p>"),
            json!("BE"),
            json!("open"),
            json!("won"),
            json!("01:30"),
            json!("male"),
            json!(12),
            json!(12.5),
            json!(0),
            json!(1709168523000_u64),
            json!(true),
            json!(false),
            json!(["a", 1]),
            json!({"x": 1}),
        ];
        values[self.below(values.len())].clone()
    }
}

fn set(at: &mut Value, steps: &[Step], value: Value) {
    let Some((step, deeper)) = steps.split_first() else {
        if at.is_null() {
            *at = value;
        }
        return;
    };
    let below = match step {
        Step::Key(key) => {
            if !at.is_object() {
                *at = json!({});
            }
            at.as_object_mut().unwrap().entry(key.clone()).or_insert(Value::Null)
        }
        Step::Index(index) => {
            if !at.is_array() {
                *at = json!([]);
            }
            let items = at.as_array_mut().unwrap();
            while items.len() <= *index {
                items.push(Value::Null);
            }
            &mut items[*index]
        }
        Step::Choice(key, value) => {
            if !at.is_array() {
                *at = json!([]);
            }
            let items = at.as_array_mut().unwrap();
            items.push(json!({ key: value }));
            items.last_mut().unwrap()
        }
        Step::Rest => return,
    };
    set(below, deeper, value);
}

fn fill(record: &mut Value, fields: &[Field], chance: &mut Chance) {
    for field in fields {
        match &field.rule {
            Rule::Each(each) => {
                let items = (0..chance.below(4)).map(|_| {
                    let mut item = if chance.below(6) == 0 { chance.raw() } else { json!({}) };
                    match &each.item {
                        Item::Fields(fields) if item.is_object() => fill(&mut item, fields, chance),
                        Item::Value(rule) if item.is_object() => {
                            super::super::rule::value_paths(rule, &mut |path| {
                                if path.steps.is_empty() {
                                    item = chance.raw();
                                } else {
                                    set(&mut item, &path.steps, chance.raw());
                                }
                            })
                        }
                        _ => {}
                    }
                    item
                });
                let items = Value::Array(items.collect());
                if chance.below(5) > 0 {
                    set(record, &each.path.steps, items);
                }
            }
            Rule::Object(below) => fill(record, below, chance),
            _ => field_paths(field, &mut |path| {
                if chance.below(5) > 0 {
                    set(record, &path.steps, chance.raw());
                }
            }),
        }
    }
}

fn definitions() -> FieldDefinitions {
    let field = |(id, kind): (&str, FieldKind)| FieldDefinition {
        id: id.to_owned(),
        name: id.to_uppercase(),
        description: None,
        kind,
        custom: id != "plain",
        read_only: false,
        required: false,
        limits: Default::default(),
        options: Vec::new(),
    };
    let fields =
        [("shoe_size", FieldKind::Integer), ("flags", FieldKind::Multiselect), ("plain", FieldKind::Text)];
    FieldDefinitions::new(fields.map(field).into())
}

/// The delivered value at a place such as `emails[0].email`.
fn at<'v>(record: &'v Value, place: &str) -> Option<&'v Value> {
    record.pointer(&format!("/{}", place.replace(['.', '['], "/").replace(']', "")))
}

/// Every leaf's place: scalars, null, and empty lists and objects.
fn leaves(value: &Value, place: &str, into: &mut Vec<String>) {
    let dot = |key: &str| if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            entries.iter().for_each(|(key, value)| leaves(value, &dot(key), into));
        }
        Value::Array(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(item, &format!("{place}[{index}]"), into));
        }
        _ => into.push(place.to_owned()),
    }
}

/// The entry of a place, or that of the nearest element, list or object around it.
fn entry<'e>(explanation: &'e Explanation, place: &str) -> Option<&'e Explained> {
    let mut place = place;
    loop {
        if let Some(found) = explanation.fields.iter().find(|explained| explained.field == place) {
            return Some(found);
        }
        place = &place[..place.rfind(['.', '['])?];
    }
}

fn holds(mapping: &Mapping, record: &Value, reading: &Reading<'_>) -> (Value, Vec<Explanation>) {
    let body = record.to_string();
    let frame = Frame::compile(None, None, &[]).unwrap();
    let mut out = Records::default();
    read_page(mapping, &frame, body.as_bytes(), reading, &mut out).unwrap();
    let steps = Steps { main: "main", grafts: vec![("associations", "links")], ..Steps::default() };
    let explained = explain_page(mapping, &frame, body.as_bytes(), reading, &steps).unwrap();
    assert_eq!(explained.len(), out.items.len());
    let Some(explanation) = explained.first() else { return (Value::Null, explained) };
    assert_eq!(explanation.id, out.items[0].id);
    let delivered: Value = serde_json::from_slice(&out.json).unwrap();
    let told =
        |place: &str| format!("{}: {place}\n{body}\n{delivered:#}\n{:#?}", mapping.file, explanation.fields);
    let mut places = Vec::new();
    leaves(&delivered, "", &mut places);
    for place in &places {
        let found = entry(explanation, place).unwrap_or_else(|| panic!("unexplained {}", told(place)));
        let value = at(&delivered, place).unwrap();
        let empty = value.is_null() || value == "" || *value == json!([]) || *value == json!({});
        if !empty {
            assert_eq!(found.absent, None, "{}", told(place));
        } else if value.is_null() && found.field == *place {
            assert!(found.absent.is_some(), "{}", told(place));
        }
    }
    for field in &mapping.schema {
        let elsewhere =
            ["pass_through", "custom_mappings", "custom_fields", "fields"].contains(&field.name.as_str());
        if !elsewhere && delivered.get(&field.name).is_none() {
            let inside = format!("{}.", field.name);
            let mut told_of = explanation
                .fields
                .iter()
                .filter(|e| e.field == field.name || e.field.starts_with(&inside))
                .peekable();
            assert!(told_of.peek().is_some() && told_of.all(|e| e.absent.is_some()), "{}", told(&field.name));
        }
    }
    for explained in &explanation.fields {
        let delivered = at(&delivered, &explained.field).unwrap_or(&Value::Null);
        if explained.absent.is_some() {
            let empty = [json!(null), json!(""), json!([]), json!({})];
            assert!(empty.contains(delivered), "{}", told(&explained.field));
            continue;
        }
        let raw = explained.from.last().and_then(|from| from.raw.clone());
        let claimed = match explained.codec.as_deref().unwrap() {
            "constant" => explained.terms["value"].clone(),
            "join" if explained.terms.get("as").is_none() => {
                let text = |origin: &Origin| match &origin.raw {
                    Some(Value::String(text)) if text.is_empty() => None,
                    Some(Value::Null) | None => None,
                    Some(Value::String(text)) => Some(text.clone()),
                    Some(other) => Some(other.to_string()),
                };
                let texts: Vec<String> = explained.from.iter().filter_map(text).collect();
                Value::from(texts.join(explained.terms["with"].as_str().unwrap()))
            }
            "join" | "cases" | "expression" | "each" | "places" => continue,
            "custom" => {
                let shown = delivered.get("value").unwrap_or(delivered);
                let (shown, raw) = (shown.to_string(), raw.unwrap().to_string());
                let plain = |text: &str| text.replace(['"', '[', ']', '\\'], "").replace([',', ';'], "");
                assert_eq!(plain(&shown), plain(&raw), "{}", told(&explained.field));
                continue;
            }
            name => {
                let mut rule = explained.terms.clone();
                rule.remove("timezone");
                let currency = rule.remove("currency");
                rule.insert("as".to_owned(), name.into());
                let codec = codec_of(&rule).unwrap();
                let reading = Reading {
                    currency: currency.as_ref().and_then(Value::as_str),
                    timezone: reading.timezone,
                    ..Reading::default()
                };
                codec
                    .read(&raw.unwrap(), &reading)
                    .unwrap_or_else(|fault| panic!("{fault} {}", told(&explained.field)))
            }
        };
        assert_eq!(claimed, *delivered, "{}", told(&explained.field));
    }
    (delivered, explained)
}

#[test]
fn what_is_claimed_gives_what_is_delivered_for_every_shipped_mapping() {
    let mut chance = Chance(7);
    let definitions = definitions();
    let mut files = 0;
    for connector in std::fs::read_dir("mappings").unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(connector.path()).unwrap().flatten() {
            let resource = file.path().file_stem().unwrap().to_string_lossy().into_owned();
            let (mapping, _) = shipped(&connector.file_name().to_string_lossy(), &resource);
            files += 1;
            for case in 0..90 {
                let mut record = json!({});
                fill(&mut record, &mapping.fields, &mut chance);
                let id = mapping.id_path().unwrap();
                set(&mut record, &Path::parse(&id).unwrap().steps, json!("77"));
                if let Some(custom) = &mapping.custom {
                    for (key, value) in [("shoe_size", "44"), ("flags", "a;b"), ("plain", "x"), ("none", "")]
                    {
                        set(
                            &mut record,
                            &custom.base.join(&Path { steps: vec![Step::Key(key.into())] }).steps,
                            json!(value),
                        );
                    }
                }
                let mask =
                    (case % 3 == 2).then(|| FieldMask::parse("id,name,emails.email,stages.name,created_at"));
                let reading = Reading {
                    fields: mask.as_ref(),
                    definitions: Some(&definitions).filter(|_| case % 2 == 0),
                    currency: Some("EUR"),
                    timezone: Some("Europe/Brussels"),
                    ..Reading::default()
                };
                holds(&mapping, &record, &reading);
            }
        }
    }
    assert!(files > 20);
}

#[test]
fn each_reason_is_told_apart() {
    let (mapping, _) = shipped("hubspot", "contacts");
    let record = json!({"id": "7", "properties": {
        "firstname": "Ada", "lastname": null, "gender": "Robot", "fax": "", "hs_object_id": "7", "work_email": "w@x.y",
        "favourite": "blue", "api_token": "t"
    }, "archived": false});
    let body = record.to_string();
    let mut extras = Extras::default();
    extras.insert(
        "7".into(),
        vec![("associations.deals.results".into(), r#"[{"id": 5}, {"id": 6, "type": "x"}]"#.into())],
    );
    let reading = Reading { extras: Some(&extras), ..Reading::default() };
    let steps = Steps {
        main: "contacts.list.search",
        grafts: vec![
            ("associations.companies.results", "contacts.companies"),
            ("associations.deals.results", "contacts.deals"),
        ],
        failed: vec![("associations.companies.results", "contacts.companies", "it timed out")],
        asked: Some((
            "properties",
            vec![
                "firstname",
                "lastname",
                "gender",
                "fax",
                "phone",
                "mobilephone",
                "email",
                "work_email",
                "salutation",
            ],
        )),
    };
    let frame = Frame::compile(None, None, &[]).unwrap();
    let explained = explain_page(&mapping, &frame, body.as_bytes(), &reading, &steps).unwrap().remove(0);
    let of =
        |name: &str| explained.fields.iter().find(|e| e.field == name).unwrap_or_else(|| panic!("{name}"));
    let rows = [
        ("first_name", None),
        ("last_name", Some(Absence::NullDownstream)),
        ("gender", Some(Absence::CodecProblem)),
        ("fax", Some(Absence::NullDownstream)),
        ("prefix", Some(Absence::MissingDownstream)),
        ("title", Some(Absence::NotAskedFor)),
        ("company_id", Some(Absence::StepFailed)),
        ("tags", Some(Absence::NotMapped)),
        ("phone_numbers", Some(Absence::MissingDownstream)),
        ("emails[0].email", None),
        ("opportunity_ids[1]", None),
    ];
    for (name, absent) in rows {
        assert_eq!(of(name).absent, absent, "{name}: {:?}", of(name));
    }
    assert_eq!(of("gender").says.as_deref(), Some("the CRM's value has no counterpart"));
    assert_eq!(of("company_id").says.as_deref(), Some("it timed out"));
    assert_eq!(of("first_name").from[0].step, "contacts.list.search");
    let deal = &of("opportunity_ids[1]").from[0];
    assert_eq!(
        (deal.path.as_str(), deal.step.as_str()),
        ("associations.deals.results[1].id", "contacts.deals")
    );
    let file = std::fs::read_to_string("mappings/hubspot/contacts.yaml").unwrap();
    let line = |name: &str| file.lines().nth(of(name).line.unwrap() as usize - 1).unwrap().trim().to_owned();
    assert!(line("first_name").starts_with("first_name:"));
    assert!(line("emails[0].email").contains("properties.work_email"));
    let unread: Vec<&str> = explained.unread.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(unread, ["properties.hs_object_id"], "custom fields are delivered: {:?}", explained.unread);
}

#[test]
fn what_no_rule_reads_is_told_once_per_place() {
    let (mapping, _) = shipped("hubspot", "pipelines");
    let record = json!({"id": "1", "label": "Sales", "extra": {"a": 1}, "stages": [
        {"id": "s1", "label": "One", "metadata": {"probability": "0.1", "isClosed": "false"}},
        {"id": "s2", "label": "Two", "metadata": {"probability": "0.2", "isClosed": "true"}}
    ]});
    let (_, explained) = holds(&mapping, &record, &Reading::default());
    let unread = json!(explained[0].unread);
    assert_eq!(unread, json!([["extra", {"a": 1}], ["stages[].metadata.isClosed", "false"]]));
    let (mapping, _) = shipped("hubspot", "contacts");
    let companies = json!({"results": [{"id": "5", "type": "contact_to_company"}]});
    let record = json!({"id": "1", "properties": {}, "associations": {"companies": companies}});
    let (_, explained) = holds(&mapping, &record, &Reading::default());
    assert_eq!(explained[0].unread, [], "what an element is chosen by is read");
}
