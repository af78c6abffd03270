//! One page for each row of the error catalogue: what `ref` in an error's body leads to.

use serde_json::json;

use crate::error::{CATALOGUE, Error, Fault, Row};

fn row(name: &str) -> Option<&'static Row> {
    CATALOGUE.iter().find(|row| row.name == name)
}

fn whose(fault: Fault) -> &'static str {
    match fault {
        Fault::Caller => "the request: change it before sending it again",
        Fault::Connection => "the consumer's connection: its credentials, settings or CRM",
        Fault::Vendor => "the CRM",
        Fault::Gateway => "the gateway",
    }
}

/// The row as JSON; none for an unknown name.
pub fn error_json(name: &str) -> Option<String> {
    let row = row(name)?;
    let json = json!({
        "type_name": row.name,
        "status_code": row.status.as_u16(),
        "error": row.status.canonical_reason().unwrap_or("Error"),
        "fault": row.fault.name(),
        "retriable": row.retriable,
        "when": row.when,
    });
    Some(json.to_string())
}

/// The row as a page; none for an unknown name.
pub fn error_page(name: &str) -> Option<String> {
    let Row { name, status, fault, retriable, when, .. } = row(name)?;
    let again = if *retriable { "may succeed later" } else { "will fail again" };
    let whose = whose(*fault);
    // Nothing here comes from a request: the name is the catalogue's.
    Some(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}\
         dt{{font-weight:600}}dd{{margin:0 0 .75rem}}</style></head>\
         <body><h1>{name}</h1><p>{when}</p><dl><dt>Status</dt><dd>{status}</dd>\
         <dt>Whose fault</dt><dd>{whose}</dd><dt>The same call</dt><dd>{again}</dd></dl></body></html>\n"
    ))
}

/// An error as a page for the person in front of a browser.
pub fn refusal_page(error: &Error, request_id: &str) -> String {
    let (says, name, id) = (escaped(&error.to_string()), error.kind().name(), escaped(request_id));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Not connected</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}\
         small{{opacity:.7}}</style></head><body><main><h1>Not connected</h1><p>{says}</p>\
         <p>Go back to the application that you came from and try again.</p>\
         <p><small>{name}, request {id}</small></p></main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_page() {
        for row in CATALOGUE {
            let json: serde_json::Value = serde_json::from_str(&error_json(row.name).unwrap()).unwrap();
            assert_eq!(json["status_code"], row.status.as_u16());
            let page = error_page(row.name).unwrap();
            assert!(page.contains(row.when) && page.contains(row.name), "{page}");
        }
        assert_eq!(error_page("<script>"), None);
    }
}
