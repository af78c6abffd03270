//! The shipped mapping files against the contract, and records as the CRMs send them.

use serde_json::{Value, json};

use super::*;

/// The contract, parsed once.
pub(super) fn openapi() -> &'static Value {
    static CONTRACT: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    CONTRACT.get_or_init(|| {
        let text = std::fs::read_to_string("openapi/crm.yaml").unwrap();
        Document::parse("openapi/crm.yaml", &text).unwrap().value().clone()
    })
}

pub(super) fn shipped(connector: &str, resource: &str) -> (Mapping, UnifiedSchema) {
    let file = format!("mappings/{connector}/{resource}.yaml");
    let document = Document::parse(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
    let resource = resource.split('.').next().unwrap();
    let name = crate::model::Resource::from_name(resource).unwrap().schema();
    let schema = UnifiedSchema::from_openapi(openapi(), name).unwrap();
    let mapping = Mapping::compile(&document, &schema).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    (mapping, schema)
}

fn read(mapping: &Mapping, record: &Value, reading: &Reading<'_>) -> (Value, Vec<String>) {
    let body = serde_json::to_vec(record).unwrap();
    let mut out = Records::default();
    let frame = Frame::compile(None, None, &[]).unwrap();
    read_page(mapping, &frame, &body, reading, &mut out).unwrap();
    let text = String::from_utf8(out.json).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (value, out.problems.iter().map(|p| format!("{} {}: {}", p.pointer, p.path, p.message)).collect())
}

fn maya() -> Value {
    json!({"id": "7134", "properties": {
        "createdate": "2026-02-25T16:23:49.023Z", "email": "maya@example.com", "firstname": "Maya", "lastname": "Stone",
        "hs_object_id": "7134", "hubspot_owner_id": "888", "lastmodifieddate": "2026-03-12T10:04:17.969Z", "phone": null,
        "mobilephone": "+32 1", "city": "Ghent", "favourite_colour": "blue;green", "hs_additional_emails": "a@b.c;d@e.f",
        "hs_linkedin_url": "", "gender": "Robot"
    }, "createdAt": "2026-02-25T16:23:49.023Z", "updatedAt": "2026-03-12T10:04:17.969Z", "archived": false,
    "associations": {"companies": {"results": [{"id": "1", "type": "other"}, {"id": "40626", "type": "contact_to_company"}]},
                     "deals": {"results": [{"id": "5", "type": "a"}, {"id": "5", "type": "b"}, {"id": "6", "type": "a"}]}}})
}

#[test]
fn a_hubspot_contact_is_read() {
    let (mapping, _) = shipped("hubspot", "contacts");
    let (contact, problems) = read(&mapping, &maya(), &Reading::default());
    assert_eq!(contact["name"], "Maya Stone");
    assert_eq!(contact["company_id"], "40626");
    assert_eq!(contact["opportunity_ids"], json!(["5", "6"]));
    assert_eq!(contact["owner_id"], "888");
    assert_eq!(contact["active"], true);
    assert_eq!(
        contact["emails"],
        json!([{"email": "maya@example.com", "type": "primary"}, {"email": "a@b.c", "type": "secondary"}, {"email": "d@e.f", "type": "secondary"}])
    );
    assert_eq!(contact["phone_numbers"], json!([{"number": "+32 1", "type": "mobile"}]));
    assert_eq!(contact["addresses"][0]["city"], "Ghent");
    assert_eq!(contact["addresses"][0]["line1"], Value::Null);
    assert_eq!(contact["social_links"], json!([]));
    assert_eq!(contact["custom_fields"], json!([{"id": "favourite_colour", "value": "blue;green"}]));
    assert_eq!(contact["created_at"], "2026-02-25T16:23:49.023Z");
    assert_eq!(contact["gender"], Value::Null);
    assert_eq!(problems, ["/gender properties.gender: the CRM's value has no counterpart"]);
}

#[test]
fn a_hubspot_contact_is_written() {
    let (mapping, _) = shipped("hubspot", "contacts");
    let body = json!({"name": "Ada Lovelace", "owner_id": null, "company_id": "12", "emails": [
        {"email": "w@x.y", "type": "work"}, {"email": "b@x.y", "type": "billing"}, {"email": "c@x.y"}
    ], "phone_numbers": [{"number": "1", "type": "mobile", "extension": "9"}], "tags": ["a"]});
    let written = write(&mapping, body.as_object().unwrap(), WriteMode::Update, &Writing::default());
    assert_eq!(
        Value::Object(written.body),
        json!({"properties": {"firstname": "Ada", "lastname": "Lovelace", "hubspot_owner_id": "", "email": "b@x.y",
               "work_email": "w@x.y", "phone": "", "mobilephone": "1"}})
    );
    assert_eq!(written.links, [Link { name: "company".into(), ids: vec!["12".into()], whole: false }]);
    let problems: Vec<String> =
        written.problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect();
    assert_eq!(
        problems,
        [
            "/emails/2: hubspot has no place for this element; it is not stored",
            "/emails/1/type: `billing` is kept as `primary`: hubspot has no other place",
            "/phone_numbers/0/extension: `extension` has no counterpart in hubspot; it is not written",
            "/tags: `tags` has no counterpart in hubspot; it is not written",
        ]
    );
}

#[test]
fn every_shipped_mapping_compiles() {
    for connector in ["hubspot", "pipedrive"] {
        for resource in ["contacts", "companies", "opportunities", "users", "pipelines"] {
            let (mapping, _) = shipped(connector, resource);
            assert_eq!((mapping.connector.as_str(), mapping.resource.as_str()), (connector, resource));
            assert!(mapping.rules().len() > 5);
        }
    }
}

fn small() -> UnifiedSchema {
    let openapi = json!({"components": {"schemas": {"Thing": {"type": "object", "required": ["title"], "properties": {
        "id": {"type": "string", "readOnly": true},
        "title": {"type": "string"},
        "name": {"type": ["string", "null"]},
        "score": {"type": ["integer", "null"]},
        "kind": {"type": ["string", "null"], "enum": ["one", "two", null]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "emails": {"type": "array", "items": {"type": "object", "required": ["email"], "properties": {
            "email": {"type": "string"}, "type": {"type": ["string", "null"], "enum": ["work", "home", null]}}}},
        "custom_fields": {"type": "array", "items": {"type": "object"}},
        "made": {"type": ["string", "null"], "format": "date-time", "readOnly": true}
    }}}}});
    UnifiedSchema::from_openapi(&openapi, "Thing").unwrap()
}

fn compile(text: &str) -> Result<Mapping, Vec<String>> {
    let text = format!("connector: acme\nresource: things\n{text}");
    Document::parse("t.yaml", &text)
        .and_then(|document| Mapping::compile(&document, &small()))
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn every_static_fault_comes_at_once_with_its_place() {
    let faults = compile(
        r#"fields:
  id: { from: id, as: id, read_only: true }
  titel: label
  score: points
  at: stamp
  made: { from: made, as: datetime }
  kind: { from: k, values: { a: one, b: tow } }
  name: { from: a..b }
  emails:
    - { email: mail, type: =wrk }
    - { email: mail, type: =home }
"#,
    )
    .unwrap_err();
    assert_eq!(
        faults,
        [
            "t.yaml:5:3: `titel` is not a field of Thing that can be mapped here; did you mean `title`?",
            "t.yaml:6:10: `score` is a whole number, and the rule makes something else; use `as: integer`",
            "t.yaml:7:7: `at` is a date-time, and the rule makes something else; use `as: datetime`",
            "t.yaml:8:9: `made` is read-only in the contract, so its rule must be `read_only: true`",
            "t.yaml:9:41: `tow` is not a word of `kind`; did you mean `two`?",
            "t.yaml:10:17: `a..b` is not a path: a key is empty",
            "t.yaml:12:28: `wrk` is not a value of `type`; did you mean `work`?",
            "t.yaml:13:16: `mail` is already written by `emails.0.email`",
        ]
    );
}

#[test]
fn structure_and_inverse_are_checked() {
    for (rules, expected) in [
        ("  name: { form: a }", "t.yaml:5:11: unknown key `form`; did you mean `from`?"),
        ("  name: { from: a, as: htlm }", "t.yaml:5:24: unknown codec `htlm`; did you mean `html`?"),
        ("  name: { from: a, as: html }", "no exact inverse"),
        ("  name: { cases: [{ value: x }] }", "these cases have no inverse"),
        ("  name: { from: a, to: b }", "`to` must be one of the paths in `from`"),
        ("  name: { from: a, prefix: x }", "`prefix` means nothing to `as: text`"),
        ("  name: { expr: { read: a, uses: { a: x } } }", "without `write` needs `read_only: true`"),
        ("  name: { expr: { read: b, write: value, uses: { a: x } } }", "which is not among its `uses`"),
        ("  name: a\n  title: a.b", "`a` overlaps `a.b`, which is written by `title`"),
        ("  name: { from: a, part_of: title }", "does not name `name` among its `parts`"),
    ] {
        let text = format!("fields:\n  id: {{ from: id, as: id, read_only: true }}\n{rules}\n");
        let faults = compile(&text).map(|_| ()).unwrap_err();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{rules}: {faults:#?}");
    }
    assert!(compile("fields:\n  name: a\n").unwrap_err()[0].contains("a rule for `id` is needed"));
    assert!(compile("fields:\n  id: { from: id, as: id, read_only: true }\n  name: { from: a, as: html, lossy: formatting }\n").is_ok());
}

const SMALL: &str = "fields:\n  id: { from: id, as: id, read_only: true }\n  title: label\n  name: n\n  score: { from: s, as: integer }\n";

#[test]
fn a_bad_element_is_left_out_and_a_bad_field_is_null() {
    let mapping = compile(SMALL).unwrap();
    let frame = Frame::compile(Some("data.items"), Some("item"), &["next", "data.total"]).unwrap();
    let body = r#"{"data":{"items":[{"item":{"id":1,"label":"a","s":"x"}},null,{"item":7},{"other":1},{"item":{"label":"b"}},
        {"item":{"id":2,"n":{"a":1}}}],"total":12},"next":"c"}"#;
    let mut out = Records::default();
    let captured = read_page(&mapping, &frame, body.as_bytes(), &Reading::default(), &mut out).unwrap();
    assert_eq!(captured.as_text(0).as_deref(), Some("c"));
    assert_eq!(captured.as_u64(1), Some(12));
    assert_eq!((out.seen, out.items.len(), out.found), (6, 2, true));
    let items: Value =
        serde_json::from_str(&format!("[{}]", String::from_utf8(out.json.clone()).unwrap())).unwrap();
    assert_eq!(
        items,
        json!([{"id": "1", "title": "a", "name": null, "score": null}, {"id": "2", "title": "", "name": null, "score": null}])
    );
    let second = &out.items[1];
    assert!(out.json[second.start..second.end].starts_with(b"{\"id\":\"2\""));
    let problems: Vec<(bool, &str)> = out
        .problems
        .iter()
        .map(|p| (p.severity == crate::model::Severity::Fault, p.pointer.as_str()))
        .collect();
    assert_eq!(
        problems,
        [
            (false, "/score"),
            (true, ""),
            (true, ""),
            (true, ""),
            (true, ""),
            (false, "/title"),
            (false, "/name")
        ]
    );
    assert!(
        read_page(
            &mapping,
            &frame,
            b"{\"data\":{\"items\":[{\"item\":{\"id\":1}}",
            &Reading::default(),
            &mut out
        )
        .is_err()
    );
    assert_eq!((out.items.len(), out.seen), (2, 6));
}

#[test]
fn frames_find_records_wherever_they_are() {
    let mapping = compile(SMALL).unwrap();
    for (records, body, seen, found) in [
        (None, r#"[{"id":1},{"id":2}]"#, 2, true),
        (None, r#"{"id":1}"#, 1, true),
        (Some("data"), r#"{"data":{"id":1}}"#, 1, true),
        (Some("data"), r#"{"data":null}"#, 0, true),
        (Some("data"), r#"{"data":[]}"#, 0, true),
        (Some("data"), r#"{"other":1}"#, 0, false),
        (Some("data"), r#"{"data":[{"id":9}],"data":[{"id":1},{"id":2},{"id":3}]}"#, 3, true),
    ] {
        let frame = Frame::compile(records, None, &[]).unwrap();
        let mut out = Records::default();
        read_page(&mapping, &frame, body.as_bytes(), &Reading::default(), &mut out).unwrap();
        assert_eq!((out.seen, out.items.len(), out.found), (seen, seen, found), "{body}");
    }
    let frame = Frame::compile(None, None, &["id", "paging.after"]).unwrap();
    let mut out = Records::default();
    let body = br#"{"id":1,"paging":{"after":"x"}}"#;
    let captured = read_page(&mapping, &frame, body, &Reading::default(), &mut out).unwrap();
    assert_eq!((captured.raw(0), captured.as_text(1).as_deref(), out.seen), (Some("1"), Some("x"), 1));
}

#[test]
fn skip_take_masks_and_plucking() {
    let mapping = compile(SMALL).unwrap();
    let frame = Frame::compile(Some("r"), None, &[]).unwrap();
    let body = br#"{"r":[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"},null]}"#;
    let mask = crate::model::FieldMask::parse("name");
    let reading = Reading { skip: 1, take: 1, fields: Some(&mask), ..Reading::default() };
    let mut out = Records::default();
    read_page(&mapping, &frame, body, &reading, &mut out).unwrap();
    assert_eq!(String::from_utf8(out.json).unwrap(), r#"{"name":"b"}"#);
    assert_eq!((out.seen, out.items[0].id.as_deref(), out.problems.len()), (4, Some("2"), 0));
    let paths = Plucking::compile(&["id", "n"]).unwrap();
    let (rows, _) = pluck(&frame, &paths, body).unwrap();
    assert_eq!(rows[0], [Some("1".to_owned()), Some("a".to_owned())]);
    assert_eq!(rows[3], [None, None]);
}

#[test]
fn extras_are_read_as_if_they_stood_in_the_record() {
    let (mapping, _) = shipped("hubspot", "contacts");
    let mut record = maya();
    record["associations"] = Value::Null;
    let extras = Extras::from([(
        "7134".to_owned(),
        vec![
            (String::new(), r#"{"id":"7134","properties":{"jobtitle":"CEO","new_one":"1"}}"#.into()),
            ("associations.companies.results".to_owned(), r#"[{"id":"9","type":"x"}]"#.into()),
            ("associations.deals".to_owned(), r#"{"results":[{"id":"3"}]}"#.into()),
        ],
    )]);
    let (contact, _) = read(&mapping, &record, &Reading { extras: Some(&extras), ..Reading::default() });
    assert_eq!((&contact["title"], &contact["company_id"]), (&json!("CEO"), &json!("9")));
    assert_eq!((&contact["first_name"], &contact["opportunity_ids"]), (&json!("Maya"), &json!(["3"])));
    assert_eq!(contact["custom_fields"].as_array().unwrap().len(), 2);
}

#[test]
fn what_must_be_asked_for_follows_the_mask() {
    let (mapping, _) = shipped("hubspot", "opportunities");
    let mask = crate::model::FieldMask::parse("id,monetary_amount");
    assert_eq!(mapping.keys_below("properties", Some(&mask)), ["amount", "deal_currency_code"]);
    assert!(mapping.keys_below("properties", None).contains(&"dealname".to_owned()));
    assert!(
        mapping.reads_rest_below("properties", None) && !mapping.reads_rest_below("properties", Some(&mask))
    );
    assert_eq!(mapping.id_path().as_deref(), Some("id"));
    assert_eq!(mapping.write_path("title").as_deref(), Some("properties.dealname"));
}

#[test]
fn a_hubspot_deal_keeps_its_money_exact() {
    let (mapping, _) = shipped("hubspot", "opportunities");
    let deal = |currency: Value, amount: &str| {
        json!({"id": "1", "properties": {"dealname": "D", "amount": amount, "deal_currency_code": currency,
               "hs_is_closed": "true", "hs_is_closed_won": "false", "hs_deal_stage_probability": "0.35"}})
    };
    let (got, problems) = read(&mapping, &deal(json!("JPY"), "500"), &Reading::default());
    assert_eq!((&got["monetary_amount"], &got["status"], problems.len()), (&json!(500), &json!("lost"), 0));
    assert_eq!(got["win_probability"].as_f64(), Some(35.0));
    let (got, problems) = read(&mapping, &deal(Value::Null, "5.00"), &Reading::default());
    assert_eq!((&got["monetary_amount"], problems.len()), (&Value::Null, 1));
    let (got, _) =
        read(&mapping, &deal(Value::Null, "5.00"), &Reading { currency: Some("EUR"), ..Reading::default() });
    assert_eq!(got["monetary_amount"], 500);
    let body = json!({"title": "D", "monetary_amount": 7500.0, "currency": "JPY", "close_date": "2031-05-17", "contact_ids": ["1", "2"]});
    let written = write(&mapping, body.as_object().unwrap(), WriteMode::Create, &Writing::default());
    assert_eq!(
        Value::Object(written.body),
        json!({"properties": {"dealname": "D", "amount": "7500", "deal_currency_code": "JPY", "closedate": "2031-05-17T00:00:00Z"}})
    );
    assert_eq!(
        written.links,
        [Link { name: "contact".into(), ids: vec!["1".into(), "2".into()], whole: true }]
    );
    assert!(written.problems.is_empty());
    let body = json!({"monetary_amount": 1});
    assert!(write(&mapping, body.as_object().unwrap(), WriteMode::Update, &Writing::default()).has_faults());
}

#[test]
fn pipedrive_people_both_ways() {
    let (mapping, _) = shipped("pipedrive", "contacts");
    let person = json!({"id": 11, "name": "Maya Stone", "first_name": "Maya", "last_name": "Stone", "owner_id": 1, "org_id": 5,
        "emails": [{"value": "m@x.y", "primary": true, "label": "work"}, {"value": "n@x.y", "primary": true, "label": "??"},
                   {"value": "", "label": "home"}], "phones": [],
        "label_ids": [3], "add_time": "2026-05-15T09:58:46Z", "is_deleted": false,
        "custom_fields": {"d4de1c1518b4531717c676029a45911c340390a6": null}});
    let (contact, problems) = read(&mapping, &person, &Reading::default());
    assert_eq!(problems, [] as [&str; 0]);
    assert_eq!(
        (&contact["id"], &contact["company_id"], &contact["tags"]),
        (&json!("11"), &json!("5"), &json!(["3"]))
    );
    assert_eq!(
        contact["emails"],
        json!([{"email": "m@x.y", "type": "work"}, {"email": "n@x.y", "type": "primary"}])
    );
    assert_eq!(contact["phone_numbers"], json!([]));
    assert_eq!(contact["custom_fields"], json!([]));
    let body = json!({"first_name": "Ada", "last_name": "L", "company_id": "5", "emails": [{"email": "a@b.c", "type": "primary"}]});
    let written = write(&mapping, body.as_object().unwrap(), WriteMode::Create, &Writing::default());
    assert_eq!(
        Value::Object(written.body),
        json!({"org_id": 5, "emails": [{"value": "a@b.c", "label": "primary"}], "name": "Ada L"})
    );
    let body = json!({"first_name": "Ada"});
    let written = write(&mapping, body.as_object().unwrap(), WriteMode::Update, &Writing::default());
    assert!(written.has_faults() && written.body.is_empty());
}

#[test]
fn custom_fields_are_typed_named_and_checked() {
    use crate::model::{FieldDefinition, FieldDefinitions, FieldKind};
    let field = |id: &str, kind, custom, read_only| FieldDefinition {
        id: id.into(),
        name: format!("My {id}"),
        description: None,
        kind,
        custom,
        read_only,
        required: false,
        limits: Default::default(),
        options: Vec::new(),
    };
    let definitions = FieldDefinitions::new(vec![
        field("score", FieldKind::Number, true, false),
        field("rank", FieldKind::Integer, true, false),
        field("colours", FieldKind::Multiselect, true, false),
        field("sum", FieldKind::Number, true, true),
        field("standard", FieldKind::Text, false, false),
    ]);
    let (mapping, _) = shipped("hubspot", "contacts");
    let record = json!({"id": "1", "properties": {"score": "7.50", "colours": "a;b", "standard": "x", "sum": "", "unknown": "y"}});
    let (contact, _) =
        read(&mapping, &record, &Reading { definitions: Some(&definitions), ..Reading::default() });
    let values: Vec<String> = contact["custom_fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| format!("{}={}", f["name"], f["value"]))
        .collect();
    assert_eq!(values, ["\"My score\"=7.5", "\"My colours\"=[\"a\",\"b\"]"]);
    let body = json!({"custom_fields": [{"name": "My score", "value": 10.0}, {"id": "colours", "value": ["a", "b"]},
        {"id": "nope", "value": 1}, {"id": "sum", "value": 1}, {"id": "rank", "value": "much"}, {"id": "score", "value": 1}]});
    let writing = Writing { definitions: Some(&definitions), ..Writing::default() };
    let written = write(&mapping, body.as_object().unwrap(), WriteMode::Update, &writing);
    assert_eq!(Value::Object(written.body.clone()), json!({"properties": {"score": "10", "colours": "a;b"}}));
    let pointers: Vec<&str> = written.problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/custom_fields/2/id", "/custom_fields/3/id", "/custom_fields/4/value", "/custom_fields/5"]
    );
    assert!(written.has_faults());
}
