//! Pages for people and machines that are no calls. In: a name. Out: bytes and their type. Never: sockets, files.

mod errors;

pub use errors::{error_json, error_page, refusal_page};

/// Whether a caller would rather have HTML than JSON: `text/html` is named in `Accept`.
pub fn wants_html(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| {
        accept.split(',').any(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_served_to_those_who_name_it() {
        assert!(wants_html(Some("text/html,application/xhtml+xml;q=0.9")));
        assert!(!wants_html(Some("application/json")));
        assert!(!wants_html(Some("*/*")));
        assert!(!wants_html(None));
    }
}
