//! The shipped mapping files against the contract, and records as the CRMs send them.

use serde_json::{Value, json};

use super::*;

pub(super) fn openapi() -> Value {
    let text = std::fs::read_to_string("openapi/crm.yaml").unwrap();
    Document::parse("openapi/crm.yaml", &text).unwrap().value().clone()
}

pub(super) fn shipped(connector: &str, resource: &str) -> (Mapping, UnifiedSchema) {
    let file = format!("mappings/{connector}/{resource}.yaml");
    let document = Document::parse(&file, &std::fs::read_to_string(&file).unwrap()).unwrap();
    let name = crate::model::Resource::from_name(resource).unwrap().schema();
    let schema = UnifiedSchema::from_openapi(&openapi(), name).unwrap();
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
    assert_eq!(written.links, [Link { name: "company".into(), ids: vec!["12".into()] }]);
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
