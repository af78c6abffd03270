//! Records narrowed to the fields that are wanted, after they were read with more.

use super::scan::{Malformed, Scanner};
use crate::model::FieldMask;

/// Copies a record's JSON with the wanted fields only; what is kept stays as it is written.
///
/// Errors: it is not JSON.
pub fn narrow(json: &str, mask: &FieldMask, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut scanner = Scanner::of(json);
    value(&mut scanner, mask, out)?;
    scanner.end()
}

fn value(scanner: &mut Scanner<'_>, mask: &FieldMask, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let start = scanner.at();
    let mut first = true;
    let mut count = 0;
    match scanner.peek() {
        Some(b'{') if !mask.is_all() => {
            scanner.enter()?;
            out.push(b'{');
            while let Some(key) = scanner.next_key(&mut first)? {
                let Some(below) = mask.below(&key.text()) else {
                    scanner.skip()?;
                    continue;
                };
                if count > 0 {
                    out.push(b',');
                }
                count += 1;
                out.push(b'"');
                out.extend_from_slice(key.raw.as_bytes());
                out.extend_from_slice(b"\":");
                value(scanner, below, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') if !mask.is_all() => {
            scanner.enter()?;
            out.push(b'[');
            while scanner.next_element(&mut first)? {
                if count > 0 {
                    out.push(b',');
                }
                count += 1;
                value(scanner, mask, out)?;
            }
            out.push(b']');
        }
        _ => {
            scanner.skip()?;
            out.extend_from_slice(scanner.since(start).as_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_stays_as_it_is_written() {
        let record = r#"{"id":"1","n":1.50,"emails":[{"email":"a","type":"x"},{"type":"y"}],"o":{"a":{"b":1,"c":2}},"e\u0061":[]}"#;
        let rows = [
            ("id,n", r#"{"id":"1","n":1.50}"#),
            ("emails.type", r#"{"emails":[{"type":"x"},{"type":"y"}]}"#),
            ("emails.email,ea", r#"{"emails":[{"email":"a"},{}],"e\u0061":[]}"#),
            ("o.a.c,nothing", r#"{"o":{"a":{"c":2}}}"#),
        ];
        for (mask, expected) in rows {
            let mut out = Vec::new();
            narrow(record, &FieldMask::parse(mask), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{mask}");
        }
    }
}
