//! Demo records: believable, repeatable, with the oddities that real portals have.

use std::collections::BTreeMap;

use super::account::{Account, TypeIndex};
use super::links;
use super::lists::List;
use super::records::{Objects, Record};
use crate::clock::{DAY_MS, date, iso_ms};
use crate::seed::{Rng, company, person, phone, slug, words};

const FIRST_DAY_MS: i64 = 1_672_531_200_000;
const SPAN_MS: i64 = DAY_MS * 1270;

/// The live ids that generated records may refer to.
struct Ids {
    contacts: Vec<u64>,
    companies: Vec<u64>,
    deals: Vec<u64>,
    owners: Vec<String>,
}

type Values = Vec<(&'static str, String)>;

fn ids(account: &Account) -> Ids {
    let of = |name: &str| {
        let objects = account.type_of(name).and_then(|at| account.object(at));
        objects.map(|objects| objects.records.keys().copied().collect()).unwrap_or_default()
    };
    let owners = account.owners.iter().filter(|owner| owner["archived"].as_bool() == Some(false));
    Ids {
        contacts: of("contacts"),
        companies: of("companies"),
        deals: of("deals"),
        owners: owners.filter_map(|owner| owner["id"].as_str()).map(str::to_owned).collect(),
    }
}

/// Adds so many records of an object; answers their ids.
pub fn records(account: &mut Account, at: TypeIndex, count: usize) -> Vec<u64> {
    let known = ids(account);
    let Some(objects) = account.objects.get_mut(usize::from(at)) else { return Vec::new() };
    let singular = objects.singular.clone();
    let from_index = objects.records.len() as u64;
    let mut made = Vec::with_capacity(count);
    for index in from_index..from_index + count as u64 {
        let id = objects.take_id();
        let record = one(objects, account.seed, index, id, &known.owners);
        made.push(record.id);
        objects.keep(record);
    }
    for (id, index) in made.iter().zip(from_index..) {
        account.derive(at, *id);
        connect(account, at, &singular, *id, index, &known);
    }
    if singular == "contact" && !made.is_empty() && account.demo_records > 0 {
        demo_lists(account, at, &made);
    }
    made
}

/// A record by its place among all that are ever generated: the same whenever it is made.
fn one(objects: &Objects, seed: u64, index: u64, id: u64, owners: &[String]) -> Record {
    let mut rng = Rng::new(seed, &objects.name, index);
    // Several records share an instant, as bulk imports make them.
    let created = FIRST_DAY_MS + rng.between(0, SPAN_MS / 1000) * 1000 / 7 * 7;
    let created =
        if index % 10 < 3 { FIRST_DAY_MS + i64::try_from(index / 50).unwrap_or(0) * DAY_MS } else { created };
    let mut record = objects.blank_of(id, created);
    record.updated_ms = created + rng.between(0, 90) * DAY_MS / 9;
    objects.stamp(&mut record);
    let mut values = match objects.singular.as_str() {
        "contact" => contact(&mut rng, index),
        "company" => one_company(&mut rng, index),
        "deal" => deal(&mut rng, index, created),
        "ticket" => ticket(&mut rng, index),
        "lead" => lead(&mut rng, index),
        kind @ ("note" | "task" | "call" | "meeting" | "email") => activity(&mut rng, kind, index, created),
        "pets" => pet(&mut rng, index),
        _ => Vec::new(),
    };
    if rng.chance(70) {
        values.extend(rng.one(owners).map(|owner| ("hubspot_owner_id", owner.clone())));
    }
    for (name, value) in values {
        if let Some(column) = objects.column(name).filter(|_| !value.is_empty()) {
            record.set(column, Some(value));
        }
    }
    record
}

/// The first id of computed records, and how far their ids are apart.
const COMPUTED: (u64, u64) = (51_000_000_001, 3);

/// Up to so many computed records whose ids are not less than `from`.
pub fn computed(account: &Account, at: TypeIndex, from: u64, count: usize) -> Vec<Record> {
    let Some(objects) = account.object(at) else { return Vec::new() };
    let (first_id, step) = COMPUTED;
    let first = from.saturating_sub(first_id).div_ceil(step);
    let owners = ids(account).owners;
    (first..objects.computed)
        .take(count)
        .map(|index| {
            let mut record = one(objects, account.seed, index, first_id + index * step, &owners);
            for (column, value) in account.derived(at, objects, &record) {
                record.set(column, value);
            }
            record
        })
        .collect()
}

/// Associates a generated record with earlier ones.
fn connect(account: &mut Account, at: TypeIndex, singular: &str, id: u64, index: u64, known: &Ids) {
    let mut rng = Rng::new(account.seed, "links", index ^ u64::from(at) << 32);
    let mut to = |account: &mut Account, name: &str, list: &[u64], percent: u64| {
        let Some(other) = account.type_of(name) else { return };
        if rng.chance(percent)
            && let Some(target) = rng.one(list)
        {
            let kind = links::plain(account.side(at), account.side(other));
            account.link((at, id), (other, *target), kind);
        }
    };
    match singular {
        "contact" => {
            to(account, "companies", &known.companies, 80);
            to(account, "companies", &known.companies, 10);
        }
        "deal" => {
            to(account, "companies", &known.companies, 85);
            to(account, "contacts", &known.contacts, 80);
            to(account, "contacts", &known.contacts, 30);
        }
        "company" => {}
        "lead" => {
            to(account, "contacts", &known.contacts, 100);
            to(account, "companies", &known.companies, 50);
        }
        _ => {
            to(account, "contacts", &known.contacts, 70);
            to(account, "companies", &known.companies, 40);
            to(account, "deals", &known.deals, 30);
        }
    }
}

fn maybe(
    rng: &mut Rng,
    percent: u64,
    values: &mut Values,
    name: &'static str,
    value: impl FnOnce(&mut Rng) -> String,
) {
    if rng.chance(percent) {
        let value = value(rng);
        values.push((name, value));
    }
}

fn place(rng: &mut Rng, values: &mut Values) {
    if let Some([city, state, zip, country, _]) = rng.one(words::PLACES) {
        values.push(("city", (*city).to_owned()));
        values.push(("state", (*state).to_owned()));
        values.push(("zip", (*zip).to_owned()));
        values.push(("country", (*country).to_owned()));
    }
    let street = format!("{} {}", rng.below(900) + 1, rng.pick(words::STREETS));
    values.push(("address", street));
}

fn custom(rng: &mut Rng, values: &mut Values, index: u64) {
    maybe(rng, 40, values, "customer_tier", |rng| rng.pick(&["gold", "silver", "bronze"]).to_owned());
    maybe(rng, 30, values, "interests", |rng| {
        rng.pick(&["sailing;chess", "cooking", "trail_running;sailing;chess"]).to_owned()
    });
    maybe(rng, 30, values, "preferred_channel", |rng| rng.pick(&["phone", "email", "post"]).to_owned());
    maybe(rng, 30, values, "vip", |rng| rng.chance(50).to_string());
    maybe(rng, 30, values, "loyalty_points", |rng| {
        rng.pick(&["0", "12", "12.5", "-3", "100000000000"]).to_owned()
    });
    maybe(rng, 20, values, "contract_notes", |rng| rng.pick(words::SENTENCES).to_owned());
    maybe(rng, 10, values, "biography", |rng| format!("<p>{}</p>", rng.pick(words::SENTENCES)));
    maybe(rng, 30, values, "nickname", |rng| rng.pick(words::FIRST_ACCENTED).to_owned());
    maybe(rng, 30, values, "renewal_date", |rng| date(rng.between(-5_000, 25_000) * DAY_MS));
    maybe(rng, 20, values, "last_survey_at", |rng| iso_ms(FIRST_DAY_MS + rng.between(0, SPAN_MS)));
    maybe(rng, 15, values, "backup_phone", phone);
    maybe(rng, 20, values, "account_score", |rng| rng.below(100).to_string());
    maybe(rng, 20, values, "external_ref", |_| format!("EXT-{index:06}"));
}

fn contact(rng: &mut Rng, index: u64) -> Values {
    let person = person(rng, index);
    let mut values = vec![("firstname", person.first.clone()), ("lastname", person.last.clone())];
    let domain = rng.pick(&["example.com", "example.org", "mail.example.net", "xn--mnchen-3ya.example"]);
    if rng.chance(92) {
        values.push(("email", format!("{}@{domain}", person.mailbox)));
        maybe(rng, 15, &mut values, "hs_additional_emails", |rng| {
            let second = format!("{}+home@example.net", person.mailbox);
            if rng.chance(30) { format!("{second};{}+old@example.org", person.mailbox) } else { second }
        });
        maybe(rng, 15, &mut values, "work_email", |_| format!("{}@work.example", person.mailbox));
    }
    maybe(rng, 75, &mut values, "phone", phone);
    maybe(rng, 35, &mut values, "mobilephone", phone);
    maybe(rng, 4, &mut values, "fax", phone);
    maybe(rng, 8, &mut values, "salutation", |rng| rng.pick(&["Dr.", "Ms", "Mr", "Señora"]).to_owned());
    maybe(rng, 60, &mut values, "company", |rng| company(rng, index));
    maybe(rng, 70, &mut values, "jobtitle", |rng| rng.pick(words::TITLES).to_owned());
    maybe(rng, 30, &mut values, "website", |rng| {
        format!("https://{}.example/~{index}?a=1&b=2", rng.pick(&["www", "blog"]))
    });
    if rng.chance(70) {
        place(rng, &mut values);
    }
    maybe(rng, 30, &mut values, "hs_language", |rng| {
        rng.pick(&["en", "de", "fr", "ja", "pt-br", "sv"]).to_owned()
    });
    maybe(rng, 20, &mut values, "gender", |rng| rng.pick(&["female", "male", "non-binary"]).to_owned());
    maybe(rng, 25, &mut values, "date_of_birth", |rng| date(rng.between(-14_000, 12_000) * DAY_MS));
    maybe(rng, 85, &mut values, "lifecyclestage", |rng| {
        rng.pick(&[
            "subscriber",
            "lead",
            "marketingqualifiedlead",
            "salesqualifiedlead",
            "opportunity",
            "customer",
        ])
        .to_owned()
    });
    maybe(rng, 40, &mut values, "hs_lead_status", |rng| {
        rng.pick(&["NEW", "OPEN", "IN_PROGRESS", "CONNECTED"]).to_owned()
    });
    maybe(rng, 20, &mut values, "hs_linkedin_url", |_| {
        format!("https://www.linkedin.com/in/{}", person.mailbox)
    });
    maybe(rng, 12, &mut values, "twitterhandle", |_| person.mailbox.replace('.', "_"));
    maybe(rng, 10, &mut values, "message", |rng| rng.pick(words::SENTENCES).to_owned());
    maybe(rng, 80, &mut values, "hs_analytics_source", |rng| {
        rng.pick(&["ORGANIC_SEARCH", "DIRECT_TRAFFIC", "OFFLINE"]).to_owned()
    });
    custom(rng, &mut values, index);
    values
}

fn one_company(rng: &mut Rng, index: u64) -> Values {
    let name = company(rng, index);
    let domain = format!("{}.example", slug(&name));
    let mut values = vec![];
    if rng.chance(98) {
        values.push(("name", name));
    }
    if rng.chance(85) {
        values.push(("domain", domain.clone()));
        values.push(("website", domain));
    }
    maybe(rng, 50, &mut values, "description", |rng| rng.pick(words::SENTENCES).to_owned());
    maybe(rng, 70, &mut values, "industry", |rng| {
        rng.pick(&[
            "ACCOUNTING",
            "BIOTECHNOLOGY",
            "COMPUTER_SOFTWARE",
            "INSURANCE",
            "RETAIL",
            "FOOD_PRODUCTION",
        ])
        .to_owned()
    });
    maybe(rng, 70, &mut values, "phone", phone);
    if rng.chance(75) {
        place(rng, &mut values);
        maybe(rng, 20, &mut values, "address2", |rng| format!("Suite {}", rng.below(900)));
    }
    maybe(rng, 60, &mut values, "numberofemployees", |rng| {
        rng.pick(&["1", "12", "250", "5000", "120000"]).to_owned()
    });
    maybe(rng, 50, &mut values, "annualrevenue", |rng| {
        rng.pick(&["0", "1000000", "2500000.50", "98000000000"]).to_owned()
    });
    maybe(rng, 50, &mut values, "type", |rng| {
        rng.pick(&["PROSPECT", "PARTNER", "VENDOR", "OTHER"]).to_owned()
    });
    maybe(rng, 70, &mut values, "lifecyclestage", |rng| {
        rng.pick(&["lead", "opportunity", "customer"]).to_owned()
    });
    maybe(rng, 30, &mut values, "founded_year", |rng| rng.between(1861, 2025).to_string());
    maybe(rng, 20, &mut values, "linkedin_company_page", |_| {
        format!("https://www.linkedin.com/company/{index}")
    });
    maybe(rng, 10, &mut values, "facebook_company_page", |_| format!("https://www.facebook.com/{index}"));
    maybe(rng, 10, &mut values, "twitterhandle", |_| format!("company_{index}"));
    custom(rng, &mut values, index);
    values
}

fn deal(rng: &mut Rng, index: u64, created: i64) -> Values {
    let head = rng.pick(words::COMPANY_HEADS);
    let mut values = vec![("dealname", format!("{head} {} #{index}", rng.pick(words::DEAL_THINGS)))];
    let currency = rng.pick(words::CURRENCIES);
    if rng.chance(90) {
        let amount = match (currency, rng.below(10)) {
            (_, 0) => "0".to_owned(),
            ("JPY" | "KRW", _) => (rng.below(50_000) * 1000).to_string(),
            ("KWD", _) => format!("{}.{:03}", rng.below(90_000), rng.below(1000)),
            (_, 1) => "9999999999.99".to_owned(),
            (_, 2) => rng.below(100_000).to_string(),
            _ => format!("{}.{:02}", rng.below(250_000), rng.below(100)),
        };
        values.push(("amount", amount));
    }
    if rng.chance(90) {
        values.push(("deal_currency_code", currency.to_owned()));
    }
    let renewal = rng.chance(20);
    let stage = if renewal {
        rng.pick(&["150238471", "150238472", "150238473", "150238474"])
    } else {
        rng.pick(&[
            "appointmentscheduled",
            "qualifiedtobuy",
            "presentationscheduled",
            "contractsent",
            "closedwon",
            "closedlost",
        ])
    };
    values.push(("pipeline", if renewal { "74193287" } else { "default" }.to_owned()));
    values.push(("dealstage", stage.to_owned()));
    maybe(rng, 80, &mut values, "closedate", |rng| iso_ms(created + rng.between(0, 200) * DAY_MS));
    maybe(rng, 70, &mut values, "dealtype", |rng| rng.pick(&["newbusiness", "existingbusiness"]).to_owned());
    maybe(rng, 40, &mut values, "description", |rng| rng.pick(words::SENTENCES).to_owned());
    maybe(rng, 40, &mut values, "hs_priority", |rng| rng.pick(&["low", "medium", "high"]).to_owned());
    if stage == "closedlost" {
        values
            .push(("closed_lost_reason", rng.pick(&["Price", "No budget", "Chose a competitor"]).to_owned()));
    }
    if stage == "closedwon" {
        values.push(("closed_won_reason", rng.pick(&["Best fit", "Référence client"]).to_owned()));
    }
    custom(rng, &mut values, index);
    values
}

fn ticket(rng: &mut Rng, index: u64) -> Values {
    let mut values = vec![
        ("subject", format!("Ticket #{index}: {}", rng.pick(words::DEAL_THINGS))),
        ("hs_pipeline", "0".to_owned()),
        ("hs_pipeline_stage", rng.pick(&["1", "2", "3", "4"]).to_owned()),
    ];
    maybe(rng, 80, &mut values, "content", |rng| rng.pick(words::SENTENCES).to_owned());
    maybe(rng, 60, &mut values, "hs_ticket_priority", |rng| rng.pick(&["LOW", "MEDIUM", "HIGH"]).to_owned());
    maybe(rng, 40, &mut values, "hs_ticket_category", |rng| {
        rng.pick(&["PRODUCT_ISSUE;BILLING_ISSUE", "FEATURE_REQUEST"]).to_owned()
    });
    values
}

fn lead(rng: &mut Rng, index: u64) -> Values {
    let person = person(rng, index);
    let name = format!("{} {}", person.first, person.last).trim().to_owned();
    let mut values = vec![
        ("hs_lead_name", name),
        ("hs_pipeline", "lead-pipeline-id".to_owned()),
        (
            "hs_pipeline_stage",
            rng.pick(&["new-stage-id", "attempting-stage-id", "connected-stage-id", "qualified-stage-id"])
                .to_owned(),
        ),
    ];
    maybe(rng, 60, &mut values, "hs_lead_type", |rng| rng.pick(&["NEW_BUSINESS", "UPSELL"]).to_owned());
    maybe(rng, 60, &mut values, "hs_lead_label", |rng| rng.pick(&["HOT", "WARM", "COLD"]).to_owned());
    values
}

fn activity(rng: &mut Rng, kind: &str, index: u64, created: i64) -> Values {
    let sentence = rng.pick(words::SENTENCES).to_owned();
    let html = format!("<p>{}</p>", sentence.replace('<', "&lt;"));
    let title = format!("{} #{index}", rng.pick(words::DEAL_THINGS));
    let mut values = vec![("hs_timestamp", iso_ms(created + rng.between(-30, 30) * DAY_MS))];
    match kind {
        "note" => values.push(("hs_note_body", html)),
        "task" => {
            values.push(("hs_task_subject", title));
            values.push((
                "hs_task_status",
                rng.pick(&["NOT_STARTED", "IN_PROGRESS", "WAITING", "COMPLETED", "DEFERRED"]).to_owned(),
            ));
            values.push(("hs_task_priority", rng.pick(&["NONE", "LOW", "MEDIUM", "HIGH"]).to_owned()));
            values.push(("hs_task_type", rng.pick(&["TODO", "CALL", "EMAIL"]).to_owned()));
            maybe(rng, 60, &mut values, "hs_task_body", |_| html);
        }
        "call" => {
            values.push(("hs_call_title", title));
            values.push(("hs_call_body", html));
            values.push(("hs_call_duration", (rng.below(3600) * 1000).to_string()));
            values.push(("hs_call_direction", rng.pick(&["INBOUND", "OUTBOUND"]).to_owned()));
            values.push(("hs_call_status", rng.pick(&["COMPLETED", "NO_ANSWER", "BUSY"]).to_owned()));
            values.push(("hs_call_from_number", phone(rng)));
            values.push(("hs_call_to_number", phone(rng)));
        }
        "meeting" => {
            let start = created + rng.between(0, 40) * DAY_MS;
            values.push(("hs_meeting_title", title));
            values.push(("hs_meeting_body", html));
            values.push(("hs_meeting_start_time", iso_ms(start)));
            values.push(("hs_meeting_end_time", iso_ms(start + rng.between(1, 8) * 900_000)));
            values.push((
                "hs_meeting_location",
                rng.pick(&["Room 4", "https://meet.example/abc", "東京オフィス"]).to_owned(),
            ));
            values.push((
                "hs_meeting_outcome",
                rng.pick(&["SCHEDULED", "COMPLETED", "CANCELED", "NO_SHOW"]).to_owned(),
            ));
        }
        _ => {
            values.push(("hs_email_subject", title));
            values.push(("hs_email_text", sentence));
            values.push((
                "hs_email_direction",
                rng.pick(&["EMAIL", "INCOMING_EMAIL", "FORWARDED_EMAIL"]).to_owned(),
            ));
            values.push(("hs_email_status", rng.pick(&["SENT", "BOUNCED"]).to_owned()));
        }
    }
    values
}

fn pet(rng: &mut Rng, index: u64) -> Values {
    let mut values = vec![("name", format!("{} {index}", rng.pick(words::FIRST)))];
    maybe(rng, 80, &mut values, "species", |rng| rng.pick(&["cat", "dog", "parrot"]).to_owned());
    maybe(rng, 70, &mut values, "weight_kg", |rng| format!("{}.{}", rng.below(40), rng.below(10)));
    maybe(rng, 60, &mut values, "born_on", |rng| date(rng.between(14_000, 20_000) * DAY_MS));
    maybe(rng, 50, &mut values, "chip_number", |_| format!("9000{index:08}"));
    values
}

fn demo_lists(account: &mut Account, object: TypeIndex, members: &[u64]) {
    for (id, name, processing, step) in [
        (1_u64, "Newsletter", "MANUAL", 7_usize),
        (2, "Customers in Europe", "DYNAMIC", 11),
        (3, "Trade fair 2024 – Zürich", "SNAPSHOT", 29),
    ] {
        let list = List {
            id,
            name: name.to_owned(),
            object,
            processing: processing.to_owned(),
            filter_branch: None,
            version: 1,
            members: members.iter().step_by(step).map(|id| (*id, FIRST_DAY_MS)).collect::<BTreeMap<_, _>>(),
            created_ms: FIRST_DAY_MS,
            updated_ms: FIRST_DAY_MS,
            deleted_ms: None,
        };
        account.lists.insert(id, list);
    }
}
