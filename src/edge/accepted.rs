//! The form of a list that a caller accepts.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::model::Format;

/// The form that the `Accept` headers prefer. A stream has to be named: a wildcard means JSON, and so does no header, or
/// one that names none of our forms. Of equal weights JSON counts most where it is named.
pub(super) fn accepted(headers: &HeaderMap) -> Format {
    let (mut json, mut lines, mut csv) = (None, None, None);
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in texts.flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(weight).unwrap_or(1000);
        let place = match media_type.as_str() {
            "application/json" => &mut json,
            "application/x-ndjson" => &mut lines,
            "text/csv" => &mut csv,
            _ => continue,
        };
        *place = (*place).max(Some(weight));
    }
    let (json, lines, csv) = (json.unwrap_or(0), lines.unwrap_or(0), csv.unwrap_or(0));
    if json >= lines.max(csv) {
        Format::Json
    } else if lines >= csv {
        Format::Lines
    } else {
        Format::Csv
    }
}

/// The thousandths in `q=0.5`; none of what is no weight, nothing of one that makes no sense.
fn weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let weight = value.trim().parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight));
    // Within 0 to 1000.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 1000")]
    let thousandths = weight.map_or(0, |weight| (weight * 1000.0).round() as u16);
    Some(thousandths)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_accepted_row_by_row() {
        let rows: [(&[&str], Format); 17] = [
            (&[], Format::Json),
            (&["*/*"], Format::Json),
            (&["application/json"], Format::Json),
            (&["text/html"], Format::Json),
            (&["text/*"], Format::Json),
            (&["application/x-ndjson"], Format::Lines),
            (&["Application/X-NDJSON; charset=utf-8"], Format::Lines),
            (&["text/csv"], Format::Csv),
            (&["text/csv, */*"], Format::Csv),
            (&["application/json, application/x-ndjson"], Format::Json),
            (&["application/json;q=0.5, application/x-ndjson"], Format::Lines),
            (&["application/x-ndjson;q=0.8, text/csv;q=0.9"], Format::Csv),
            (&["application/x-ndjson;q=0.9", "text/csv;q=0.9"], Format::Lines),
            (&["text/csv;q=0"], Format::Json),
            (&["text/csv;q=2, application/json;q=0.1"], Format::Json),
            (&["text/csv; header=present; q=0.3, application/x-ndjson; q=0.2"], Format::Csv),
            (&["application/x-ndjson;q=x"], Format::Json),
        ];
        for (texts, format) in rows {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(ACCEPT, HeaderValue::from_str(text).unwrap());
            }
            assert_eq!(accepted(&headers), format, "{texts:?}");
        }
    }
}
