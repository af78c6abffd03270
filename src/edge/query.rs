//! The query string, decoded and checked against the contract.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::contract::Parameters;
use crate::contract::parameter::{self, boolean, integer};
use crate::error::{Error, Kind};
use crate::model::{FieldMask, Format, Query, Sort};

/// Records on a page when the caller does not say.
const USUAL_LIMIT: u16 = 20;
/// Most records on a page.
const HIGHEST_LIMIT: i64 = 200;
/// Longest cursor, in bytes.
const LONGEST_CURSOR: usize = 8192;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    place: Place,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Parameter(String),
    Pointer(String),
}

impl Fault {
    /// A fault of a query or path parameter; the message is the end of a sentence that begins with its name.
    pub(super) fn parameter(name: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { place: Place::Parameter(name.into()), message: message.into() }
    }

    /// A fault within the body; the message is a sentence.
    pub(super) fn pointer(pointer: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { place: Place::Pointer(pointer.into()), message: message.into() }
    }

    fn to_wire(&self) -> Value {
        match &self.place {
            Place::Parameter(name) => {
                json!({ "parameter": name, "message": format!("{name} {}.", self.message) })
            }
            Place::Pointer(pointer) => json!({ "pointer": pointer, "message": self.message }),
        }
    }
}

/// The error that lists faults.
pub(super) fn refused(faults: Vec<Fault>) -> Error {
    let says = match faults.as_slice() {
        [Fault { place: Place::Parameter(name), message }] => format!("{name} {message}."),
        [Fault { place: Place::Pointer(pointer), message }] if !pointer.is_empty() => {
            format!("{pointer} in the body: {message}")
        }
        [Fault { message, .. }] => message.clone(),
        several => format!("The request has {} faults; detail lists them.", several.len()),
    };
    let errors: Vec<Value> = faults.iter().map(Fault::to_wire).collect();
    Error::new(Kind::RequestValidationError, says).detail(json!({ "errors": errors }))
}

/// Keys and values, decoded; an error for what is not valid percent-encoding or UTF-8.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), Fault>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(key).map_err(|message| Fault::parameter(printable(key), message))?;
        let value = decode(value).map_err(|message| Fault::parameter(name.clone(), message))?;
        Ok((name, value))
    })
}

/// Checks a query string. All faults are appended; `posted_method` tells that `_method` has been obeyed, `usual` is the
/// form of a list where the query does not name one.
pub(super) fn read(
    query: &str,
    known: &Parameters,
    posted_method: bool,
    usual: Format,
    faults: &mut Vec<Fault>,
) -> Query {
    let begun = Query { format: usual, ..Query::default() };
    let mut read = Reading { known, posted_method, query: begun, sort: Sorting::default(), seen: 0 };
    for pair in pairs(query) {
        let outcome = pair.and_then(|(key, value)| {
            let outcome = read.take(&key, &value);
            outcome.map_err(|message| Fault::parameter(key.into_owned(), message))
        });
        faults.extend(outcome.err());
    }
    match (read.sort.by, read.sort.descending) {
        (Some(by), descending) => {
            read.query.sort = Some(Sort { by, descending: descending.unwrap_or(false) })
        }
        (None, Some(_)) => faults.push(Fault::parameter("sort[direction]", "needs sort[by] beside it")),
        (None, None) => {}
    }
    for key in known.keys.iter().filter(|key| key.required) {
        if !read.query.keys.iter().any(|(name, _)| *name == key.name) {
            faults.push(Fault::parameter(&key.name, "is required"));
        }
    }
    if read.query.limit == 0 && read.query.format == Format::Json {
        read.query.limit = USUAL_LIMIT;
    }
    read.query
}

#[derive(Default)]
struct Sorting {
    by: Option<String>,
    descending: Option<bool>,
}

struct Reading<'a> {
    known: &'a Parameters,
    posted_method: bool,
    query: Query,
    sort: Sorting,
    /// One bit for each key that has been seen.
    seen: u16,
}

impl Reading<'_> {
    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        let known = self.known;
        match key {
            "limit" if known.limit => {
                self.once(1)?;
                self.query.limit = match integer(value) {
                    Some(number @ 1..=HIGHEST_LIMIT) => u16::try_from(number).unwrap_or(USUAL_LIMIT),
                    _ => return Err("must be a whole number from 1 to 200".into()),
                };
            }
            "cursor" if known.cursor => {
                self.once(2)?;
                if value.len() > LONGEST_CURSOR {
                    return Err("is too long".into());
                }
                self.query.cursor = (!value.is_empty()).then(|| value.to_owned());
            }
            "raw" if known.raw => {
                self.once(4)?;
                self.query.raw = boolean(value)?;
            }
            "fields" if known.fields => {
                self.once(8)?;
                self.query.fields = fields(value)?;
            }
            "explain" if known.explain => {
                self.once(128)?;
                self.query.explain = boolean(value)?;
            }
            "dry_run" if known.dry_run => {
                self.once(256)?;
                self.query.dry_run = boolean(value)?;
            }
            "format" if known.format => {
                self.once(512)?;
                self.query.format = match value {
                    "json" => Format::Json,
                    "stream" => Format::Lines,
                    "csv" => Format::Csv,
                    _ => return Err("must be json, stream or csv".into()),
                };
            }
            "_method" if self.posted_method => self.once(16)?,
            "_method" => return Err("is only taken with POST".into()),
            "sort[by]" if !known.sort.is_empty() => {
                self.once(32)?;
                if !known.sort.iter().any(|name| name == value) {
                    return Err(format!("must be one of {}", known.sort.join(", ")));
                }
                self.sort.by = Some(value.to_owned());
            }
            "sort[direction]" if !known.sort.is_empty() => {
                self.once(64)?;
                self.sort.descending = Some(match value {
                    "asc" => false,
                    "desc" => true,
                    _ => return Err("must be asc or desc".into()),
                });
            }
            _ if self.take_own(key, value)? => {}
            _ => return self.take_nested(key, value),
        }
        Ok(())
    }

    /// Takes a key of this operation alone; whether it is one.
    fn take_own(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let known = self.known;
        let own = known.keys.iter().find(|known| known.name == key);
        if own.is_none() && !known.others {
            return Ok(false);
        }
        if self.query.keys.iter().any(|(name, _)| name == key) {
            return Err(TWICE.into());
        }
        // An empty value is an absent one, unless it must be there.
        match own {
            Some(own) if own.required || !value.is_empty() => {
                self.query.keys.push((key.to_owned(), own.kind.read(value)?));
            }
            Some(_) => {}
            None => self.query.keys.push((key.to_owned(), value.into())),
        }
        Ok(true)
    }

    fn take_nested(&mut self, key: &str, value: &str) -> Result<(), String> {
        let known = self.known;
        let inner = |prefix: &str| key.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(']'));
        if let Some(name) = inner("filter[") {
            let (name, is_repeated) = name.strip_suffix("][").map_or((name, false), |name| (name, true));
            let Some((_, kind)) = known.filter.iter().find(|(known, _)| known == name) else {
                let names: Vec<&str> = known.filter.iter().map(|(name, _)| name.as_str()).collect();
                return Err(match names.as_slice() {
                    [] => "is unknown: this operation has no filters".to_owned(),
                    names => format!("is unknown; the filters are {}", names.join(", ")),
                });
            };
            if is_repeated && !matches!(kind, parameter::Kind::Several(_)) {
                return Err("takes one value: it has no []".into());
            }
            // `filter[codes][]=1` is another spelling of a repeated `filter[codes]=1`.
            let before = self.query.filter.iter_mut().find(|(known, _)| known == name);
            let value = kind.read(value)?;
            if let Some((_, known)) = before {
                let (Value::Array(known), Value::Array(more)) = (known, value) else {
                    return Err(TWICE.into());
                };
                known.extend(more);
                if known.len() > MOST_OF_SEVERAL {
                    return Err(format!("has more than {MOST_OF_SEVERAL} values"));
                }
                return Ok(());
            }
            self.query.filter.push((name.to_owned(), value));
            return Ok(());
        }
        match inner("pass_through[") {
            Some("") => Err("needs a name between its brackets".into()),
            Some(name) if known.pass_through => {
                // Deeper keys go on as `outer[inner]`, the way they came.
                let name = name.replacen("][", "[", 1);
                let name = if name.contains('[') { name + "]" } else { name };
                if self.query.pass_through.iter().any(|(known, _)| *known == name) {
                    return Err(TWICE.into());
                }
                self.query.pass_through.push((name, value.to_owned()));
                Ok(())
            }
            _ => Err(self.unknown()),
        }
    }

    fn once(&mut self, bit: u16) -> Result<(), String> {
        if self.seen & bit != 0 {
            return Err(TWICE.into());
        }
        self.seen |= bit;
        Ok(())
    }

    fn unknown(&self) -> String {
        let known = self.known;
        let names = [
            (known.cursor, "cursor"),
            (known.limit, "limit"),
            (!known.filter.is_empty(), "filter[…]"),
            (!known.sort.is_empty(), "sort[by], sort[direction]"),
            (known.fields, "fields"),
            (known.pass_through, "pass_through[…]"),
            (known.raw, "raw"),
            (known.explain, "explain"),
            (known.dry_run, "dry_run"),
            (known.format, "format"),
        ];
        let mut names: Vec<&str> =
            names.into_iter().filter_map(|(known, name)| known.then_some(name)).collect();
        names.extend(known.keys.iter().map(|key| key.name.as_str()));
        if names.is_empty() {
            return "is unknown; this operation takes no query".to_owned();
        }
        format!("is unknown; this operation takes {}", names.join(", "))
    }
}

/// Values of a filter that takes several.
const MOST_OF_SEVERAL: usize = 50;
const TWICE: &str = "is given more than once";

fn fields(value: &str) -> Result<Option<FieldMask>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b',' | b' ');
    if !value.bytes().all(plain) {
        return Err("must be names separated by commas, such as id,emails.email".into());
    }
    let mask = FieldMask::parse(value);
    Ok((!mask.is_all()).then_some(mask))
}

/// Decodes a part of a query: `%XX` and `+`.
fn decode(text: &str) -> Result<Cow<'_, str>, &'static str> {
    unescape(text, true)
}

/// Decodes a part of a path: `%XX`; a plus is a plus.
pub(super) fn decode_path(text: &str) -> Result<Cow<'_, str>, &'static str> {
    unescape(text, false)
}

fn unescape(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, &'static str> {
    if !text.bytes().any(|byte| byte == b'%' || (plus_is_space && byte == b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte.unwrap_or(b' ')).to_digit(16);
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err("is not valid percent-encoding");
                };
                decoded.push(u8::try_from(high << 4 | low).unwrap_or(b'?'));
            }
            b'+' if plus_is_space => decoded.push(b' '),
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| "is not UTF-8")
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;
    use crate::model::{Operation, Resource, Verb};

    fn check(resource: Resource, verb: Verb, query: &str) -> Result<Query, Vec<String>> {
        let contract = Contract::load().unwrap();
        let mut faults = Vec::new();
        let parameters = &contract.rules(Operation::new(resource, verb)).unwrap().parameters;
        let read = read(query, parameters, false, Format::Json, &mut faults);
        let told = |fault: &Fault| fault.to_wire()["message"].as_str().unwrap().to_owned();
        if faults.is_empty() { Ok(read) } else { Err(faults.iter().map(told).collect()) }
    }

    #[test]
    fn a_filter_of_several_is_repeated() {
        let several = parameter::Kind::Several(Box::new(parameter::Kind::Number));
        let known = Parameters {
            filter: vec![("statuses".to_owned(), several), ("path".to_owned(), parameter::Kind::Text)],
            ..Parameters::default()
        };
        let read = |query: &str| {
            let mut faults = Vec::new();
            let read = read(query, &known, false, Format::Json, &mut faults);
            (read.filter, faults.len())
        };
        let both = vec![("statuses".to_owned(), json!([200, 404]))];
        assert_eq!(read("filter[statuses]=200.0&filter[statuses]=404"), (both.clone(), 0));
        assert_eq!(read("filter[statuses][]=200&filter[statuses][]=404"), (both, 0));
        assert_eq!(read("filter[statuses]=x").1, 1);
        assert_eq!(read("filter[path]=a&filter[path]=b").1, 1);
        assert_eq!(read("filter[path][]=a").1, 1);
        let too_long = vec!["filter[statuses]=1"; MOST_OF_SEVERAL + 1].join("&");
        assert_eq!(read(&too_long).1, 1);
    }

    #[test]
    fn what_published_sdks_send() {
        let query = check(
            Resource::Opportunities,
            Verb::List,
            "raw=false&limit=20&filter%5Bmonetary_amount%5D=10.0&filter%5Btitle%5D=a+b%20c&sort%5Bby%5D=updated_at&sort%5Bdirection%5D=asc&fields=id%2Ctitle&pass_through%5Barchived%5D=true&cursor=",
        )
        .unwrap();
        assert_eq!(query.limit, 20);
        assert_eq!(query.filter, [("monetary_amount".into(), json!(10)), ("title".into(), json!("a b c"))]);
        assert_eq!(query.sort, Some(Sort { by: "updated_at".into(), descending: false }));
        assert_eq!(query.fields.unwrap().fields.len(), 2);
        assert_eq!(query.pass_through, [("archived".to_owned(), "true".to_owned())]);
        assert_eq!((query.cursor, query.raw), (None, false));
        let write = check(Resource::Contacts, Verb::Create, "raw=true").unwrap();
        assert!(write.raw);
    }

    #[test]
    fn defaults() {
        let query = check(Resource::Contacts, Verb::List, "&&fields=&cursor=").unwrap();
        assert_eq!((query.limit, query.fields, query.cursor, query.sort), (20, None, None, None));
    }

    #[test]
    fn nested_pass_through_keys_keep_their_brackets() {
        let query = check(Resource::Contacts, Verb::List, "pass_through[a][b]=1&pass_through[c]=").unwrap();
        assert_eq!(
            query.pass_through,
            [("a[b]".to_owned(), "1".to_owned()), ("c".to_owned(), String::new())]
        );
    }

    #[test]
    fn every_fault_is_told() {
        let rows = [
            ("limit=0", "limit must be a whole number from 1 to 200."),
            ("limit=201", "limit must be a whole number from 1 to 200."),
            ("limit=", "limit must be a whole number from 1 to 200."),
            ("limit=5&limit=5", "limit is given more than once."),
            ("raw=1", "raw must be true or false."),
            (
                "page=2",
                "page is unknown; this operation takes cursor, limit, filter[…], sort[by], sort[direction], fields, pass_through[…], raw, explain, format.",
            ),
            ("filter[nme]=x", "filter[nme] is unknown; the filters are name, "),
            ("filter=x", "filter is unknown; "),
            ("filter[name]=", "filter[name] must not be empty."),
            ("filter[name]=a&filter[name]=b", "filter[name] is given more than once."),
            ("filter[updated_since]=yesterday", "filter[updated_since] must be a date and time "),
            (
                "filter[updated_since]=2024-01-02T03:04:05+02:00",
                "filter[updated_since] must be a date and time such as 2024-01-31T09:30:00Z; the + of an offset is written %2B.",
            ),
            ("sort[by]=shoe_size", "sort[by] must be one of created_at, "),
            ("sort[direction]=desc", "sort[direction] needs sort[by] beside it."),
            ("sort[by]=name&sort[direction]=up", "sort[direction] must be asc or desc."),
            ("fields=a;b", "fields must be names "),
            ("pass_through[]=1", "pass_through[] needs a name between its brackets."),
            ("_method=GET", "_method is only taken with POST."),
            ("cursor=%ff", "cursor is not UTF-8."),
            ("cursor=%4", "cursor is not valid percent-encoding."),
            ("%zz=1", "%zz is not valid percent-encoding."),
        ];
        for (query, message) in rows {
            let faults = check(Resource::Contacts, Verb::List, query).unwrap_err();
            assert_eq!(faults.len(), 1, "{query}: {faults:?}");
            assert!(faults[0].starts_with(message), "{query}: {faults:?}");
        }
        let faults =
            check(Resource::Contacts, Verb::List, "limit=x&raw=y&z=1&sort[direction]=asc").unwrap_err();
        assert_eq!(faults.len(), 4);
        let faults = check(Resource::Contacts, Verb::Create, "limit=20").unwrap_err();
        assert_eq!(faults, ["limit is unknown; this operation takes raw, dry_run."]);
        let faults = check(Resource::Pipelines, Verb::List, "filter[name]=x").unwrap_err();
        assert_eq!(faults, ["filter[name] is unknown: this operation has no filters."]);
    }
}
