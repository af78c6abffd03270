//! The connectors of this repository hold together: files, laws, case folders; and the check finds what does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crosswalk::check::{Report, check};
use crosswalk::connector::load::{MANIFEST_SCHEMA, Source, load};
use crosswalk::contract;
use crosswalk::model::Verb;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_connector_passes_its_check() {
    let connectors = fs::read_dir(root().join("connectors")).unwrap();
    let folders = connectors.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let reports: Vec<Report> =
        folders.map(|folder| check(Some(&folder), contract::document()).unwrap()).collect();
    for report in &reports {
        assert!(report.faults.is_empty(), "\n{}", report.faults.join("\n"));
        assert!(report.mappings >= 5 && report.cases >= 40, "{report:?}");
    }
    assert!(reports.len() >= 2);
}

/// What the case folders of a connector show.
#[derive(Default)]
struct Shown {
    success: BTreeSet<String>,
    refusal: BTreeSet<String>,
    first_page: BTreeSet<String>,
    last_page: BTreeSet<String>,
    bad_record: BTreeSet<String>,
}

fn shown(id: &str) -> Shown {
    let mut shown = Shown::default();
    for case in fs::read_dir(root().join("connectors").join(id).join("cases")).unwrap() {
        let case = case.unwrap().path();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let operation = name.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let unified: Value = serde_json::from_slice(&fs::read(case.join("unified.json")).unwrap()).unwrap();
        let at = |pointer: &str| unified.pointer(pointer).cloned().unwrap_or_default();
        if at("/status_code").as_u64().unwrap() >= 400 {
            shown.refusal.insert(operation);
            continue;
        }
        let more = |kind: &str| !at(&format!("/meta/cursors/{kind}")).is_null();
        if more("next") && !more("previous") {
            shown.first_page.insert(operation.clone());
        }
        if more("previous") && !more("next") {
            shown.last_page.insert(operation.clone());
        }
        let warnings = at("/meta/warnings").as_array().cloned().unwrap_or_default();
        if warnings.iter().any(|warning| warning["message"].as_str().unwrap().contains("is left out")) {
            shown.bad_record.insert(operation.clone());
        }
        shown.success.insert(operation);
    }
    shown
}

#[test]
fn every_operation_has_its_cases() {
    let source =
        Source { connectors: Some(root().join("connectors")), mappings: Some(root().join("mappings")) };
    let registry = load(&source, contract::document()).unwrap();
    let mut missing = Vec::new();
    for connector in registry.iter() {
        let id = &connector.manifest.connector;
        let shown = shown(id);
        let mut wanted: BTreeMap<&str, (&BTreeSet<String>, Vec<String>)> = BTreeMap::new();
        let operations = |verbs: &[Verb]| -> Vec<String> {
            let all = connector.resources.iter().flat_map(|(resource, plan)| {
                let can = verbs.iter().filter(move |verb| plan.spec.can(**verb));
                can.map(move |verb| format!("{resource}.{verb}"))
            });
            all.collect()
        };
        wanted.insert("success", (&shown.success, operations(&Verb::ALL)));
        wanted.insert("refusal", (&shown.refusal, operations(&Verb::ALL)));
        wanted.insert("first page", (&shown.first_page, operations(&[Verb::List])));
        wanted.insert("last page", (&shown.last_page, operations(&[Verb::List])));
        wanted.insert("bad record", (&shown.bad_record, operations(&[Verb::List])));
        for (what, (there, operations)) in wanted {
            assert!(!operations.is_empty());
            let lacking = operations.iter().filter(|operation| !there.contains(*operation));
            missing.extend(lacking.map(|operation| format!("{id}: {operation} has no case with a {what}")));
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn the_manifest_schema_for_editors_is_current() {
    let file = root().join("connectors/schema.json");
    let current = format!("{:#}\n", *MANIFEST_SCHEMA);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &current).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == current,
        "connectors/schema.json is not what the manifest's types say; `UPDATE=1 cargo test --test connectors` writes it"
    );
}

/// A copy of a connector in a folder of its own.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(id: &str) -> Copy {
        let copy = Copy(tempfile::tempdir().unwrap());
        for kind in ["connectors", "mappings"] {
            copy_folder(&root().join(kind).join(id), &copy.0.path().join(kind).join(id));
        }
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a text where the file has it first; the line (from 1) and column of `mark` in what it has become.
    fn plant(&self, name: &str, text: &str, with: &str, mark: &str) -> String {
        let file = self.path(name);
        let before = fs::read_to_string(&file).unwrap();
        assert!(before.contains(text), "{text} in {name}");
        let after = before.replacen(text, with, 1);
        fs::write(&file, &after).unwrap();
        let at = after.find(with).unwrap() + with.find(mark).unwrap();
        let before = &after[..at];
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        format!("{name}:{}:{column}", before.matches('\n').count() + 1)
    }

    fn faults(&self, id: &str) -> Vec<String> {
        check(Some(&self.path("connectors").join(id)), contract::document()).unwrap().faults
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn all_planted_faults_are_named_in_one_run_each_at_its_place() {
    let copy = Copy::of("hubspot");
    let manifest = "connectors/hubspot/manifest.yaml";
    let contacts = "mappings/hubspot/contacts.yaml";
    let plant = |file: &str, text: &str, with: &str, mark: &str, says: &str| {
        (copy.plant(file, text, with, mark), says.to_owned())
    };
    let expected = [
        plant(
            manifest,
            "url_limit_bytes: 8000",
            "url_limit_byte: 8000",
            "url",
            "unknown key `url_limit_byte`; did you mean `url_limit_bytes`?",
        ),
        // A key of a pattern, which several resources fill in.
        plant(
            manifest,
            "      - name: plain\n        request:\n          path: \"/crm/v3/objects/{object}\"",
            "      - name: plain\n        recordz: x\n        request:\n          path: \"/crm/v3/objects/{object}\"",
            "recordz",
            "unknown key `recordz`; did you mean `records`?",
        ),
        plant(
            manifest,
            "skip_when_empty: properties\n",
            "skip_when_empty: properties\n      idd: x\n",
            "idd",
            "unknown key `idd`; did you mean `id`?",
        ),
        // A filter that the contract lacks, in the second entry of a merged list that stands first in the file.
        plant(
            manifest,
            "          first_name: { clause",
            "          frist_name: { clause",
            "{ clause",
            "the contract has no filter `frist_name` for contacts; did you mean `first_name`?",
        ),
        plant(manifest, "base_ms: 250", "base_ms: soon", "soon", "expected a whole number, found text"),
        plant(
            manifest,
            "          title: { by: dealname",
            "          titel: { by: dealname",
            "{ by",
            "the contract has no sort `titel` for opportunities; did you mean `title`?",
        ),
        plant(manifest, "as: \"ratio/text\"", "as: \"ration/text\"", "\"ration", "`ration"),
        plant(
            manifest,
            "enrich: [contacts, companies]",
            "enrich: [contacts, companies, conpanies]",
            "[contacts",
            "there is no `enrich` entry `conpanies`; did you mean `companies`?",
        ),
        plant(
            manifest,
            "feeds: [contact_id, contact_ids, primary_contact_id]",
            "feeds: [contact_id, contact_ids, primary_contct_id]",
            "[contact_id",
            "the mapping does not read `primary_contct_id`; did you mean `primary_contact_id`?",
        ),
        plant(
            manifest,
            "request: { path: \"/crm/v3/owners/{id}\" }",
            "request: { path: \"/crm/v3/owners/{id\" }",
            "{ path",
            "is not closed",
        ),
        plant(
            manifest,
            "status: live",
            "status: life",
            "life",
            "`life` is not one of `live`, `beta`; did you mean `live`?",
        ),
        // A lost write is looked for by what the mapping writes, with what was surely sent.
        plant(
            manifest,
            "by: { properties.hs_lead_name: properties.hs_lead_name }",
            "by: { properties.hs_lead_nam: properties.hs_lead_name }",
            "properties.hs_lead_name }",
            "the mapping does not write `properties.hs_lead_nam`; did you mean `properties.hs_lead_name`?",
        ),
        plant(
            manifest,
            "request: { path: /crm-object-schemas/v3/schemas }\n          records: results\n          id: objectTypeId",
            "request: { path: \"/crm-object-schemas/v3/schemas/{sent.nam}\" }\n          records: results\n          id: objectTypeId",
            "{ path",
            "`{sent.nam}` may have no value: `nam` is not in `by`",
        ),
        plant(manifest, "paging: { kind: whole }", "paging: { kind: hole }", "hole", "`hole` is not one of"),
        // Mappings.
        plant(
            contacts,
            "  prefix: properties.salutation",
            "  prefiks: properties.salutation",
            "prefiks",
            "prefiks",
        ),
        plant(
            contacts,
            "  title: properties.jobtitle",
            "  title: { from: properties.jobtitle, as: integer }",
            "{ from",
            "`title` is text",
        ),
        plant(
            contacts,
            "  language: properties.hs_language",
            "  language: properties.firstname",
            "properties.firstname",
            "already written by `first_name`",
        ),
        plant(
            "mappings/hubspot/companies.yaml",
            "connector: hubspot",
            "connector: hubspost",
            "hubspost",
            "is `hubspost`, but the file's place says `hubspot`",
        ),
        plant(
            "mappings/hubspot/pipelines.yaml",
            "  created_at: { from: createdAt, as: datetime, read_only: true }\n  updated_at",
            "  created_at: { from: createdAt, as: datetime }
  updated_at",
            "{ from: createdAt",
            "read-only in the contract",
        ),
    ];
    let faults = copy.faults("hubspot");
    let all = faults.join("\n");
    for (place, says) in &expected {
        assert!(
            faults.iter().any(|fault| fault.starts_with(&format!("{place}: ")) && fault.contains(says)),
            "{place}: {says}\nis not among\n{all}"
        );
    }
    assert_eq!(faults.len(), expected.len(), "\n{all}");
}

#[test]
fn bad_paths_and_broken_files_are_told_plainly() {
    let missing = check(Some(Path::new("/no/such/connector")), contract::document()).unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/connector: "), "{missing}");

    let copy = Copy::of("pipedrive");
    fs::create_dir(copy.path("connectors/empty")).unwrap();
    assert_eq!(copy.faults("empty"), ["connectors/empty: there is no manifest.yaml"]);
    // A manifest stands for its folder.
    assert_eq!(copy.faults("pipedrive/manifest.yaml"), [""; 0]);

    let case = "connectors/pipedrive/cases/contacts.one.deleted";
    let write = |name: &str, text: &str| fs::write(copy.path(&format!("{case}/{name}")), text).unwrap();
    write("call.json", "{ \"id\": \"11\",\n  \"feilds\": \"id\" }");
    write("unified.json", "{ \"status_code\": 404,");
    write("1.replay.json", "{}");
    fs::create_dir(copy.path("connectors/pipedrive/cases/contacts.read.x")).unwrap();
    fs::remove_file(copy.path("connectors/pipedrive/cases/contacts.one.not-found/unified.json")).unwrap();
    fs::remove_file(copy.path("connectors/pipedrive/cases/users.one.not-found/1.reply.json")).unwrap();
    let refused = copy.path("connectors/pipedrive/cases/users.list.refused");
    fs::rename(refused.join("1.request.json"), refused.join("2.request.json")).unwrap();
    let expected = [
        "connectors/pipedrive/cases/contacts.one.deleted/1.replay.json: is no file of a case",
        "connectors/pipedrive/cases/contacts.one.deleted/call.json:2:10: unknown field `feilds`",
        "connectors/pipedrive/cases/contacts.one.deleted/unified.json:1:21: EOF while parsing",
        "connectors/pipedrive/cases/contacts.one.not-found/unified.json: is missing",
        "connectors/pipedrive/cases/contacts.read.x: the folder's name must be <resource>.<verb>.<what-it-shows>",
        "connectors/pipedrive/cases/contacts.read.x/call.json: is missing",
        "connectors/pipedrive/cases/contacts.read.x/unified.json: is missing",
        "connectors/pipedrive/cases/users.list.refused/1.request.json: is missing; the request is {\"method\":\"GET\",\"path\":\"/api/v1/users\"}",
        "connectors/pipedrive/cases/users.one.not-found/1.reply.json: is missing",
    ];
    let faults = copy.faults("pipedrive");
    for expected in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{}", faults.join("\n"));
    }
    assert_eq!(faults.len(), expected.len(), "{}", faults.join("\n"));

    copy.plant("connectors/pipedrive/manifest.yaml", "auth:\n", "auth: [\n", "[");
    let faults = copy.faults("pipedrive");
    assert!(
        faults.iter().any(|fault| fault.starts_with("connectors/pipedrive/manifest.yaml:")),
        "{}",
        faults.join("\n")
    );
    assert!(faults.iter().any(|fault| fault.contains("call.json:2:10")), "what else is wrong is told too");
}

#[test]
fn a_case_says_what_differs() {
    let copy = Copy::of("hubspot");
    let case = "connectors/hubspot/cases/users.list.by-email";
    copy.plant(&format!("{case}/1.request.json"), "tom@crm.example", "tim@crm.example", "tim");
    copy.plant(&format!("{case}/unified.json"), "\"889\"", "\"888\"", "888");
    assert_eq!(
        copy.faults("hubspot"),
        [
            format!(
                "{case}/1.request.json: /query/email is \"tom@crm.example\", expected \"tim@crm.example\""
            ),
            format!("{case}/unified.json: /data/0/id is \"889\", expected \"888\""),
        ]
    );
}
