//! Where settings come from, and what can be wrong with them.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use url::Url;

use super::table::{Row, TABLE};
use super::{Settings, TlsFiles};

/// Variables that are understood and are no settings.
const OTHER_VARIABLES: [&str; 2] = ["CROSSWALK_CONFIG", "CROSSWALK_MASTER_KEY"];

/// One fault of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// File and line, variable, flag or key.
    pub place: String,
    /// What is wrong, after the place.
    pub message: String,
}

impl Fault {
    pub(super) fn new(place: impl fmt::Display, message: impl Into<String>) -> Fault {
        Fault { place: place.to_string(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All faults of all sources.
#[derive(Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fault{} in the settings:", self.0.len(), if self.0.len() == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// A value before it is understood.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// From the environment or a flag: the text of anything.
    Text(String),
    /// A TOML text.
    Quoted(String),
    /// A TOML boolean.
    Flag(bool),
    /// A TOML integer.
    Integer(i64),
    /// A TOML array.
    List(Vec<Given>),
    /// A TOML table.
    Table(Vec<(String, Given)>),
    /// Any other TOML value.
    Other,
}

impl Given {
    fn from_toml(value: &DeValue<'_>) -> Given {
        match value {
            DeValue::String(text) => Given::Quoted(text.to_string()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or(Given::Other, Given::Integer)
            }
            DeValue::Boolean(flag) => Given::Flag(*flag),
            DeValue::Array(items) => {
                Given::List(items.iter().map(|item| Given::from_toml(item.get_ref())).collect())
            }
            DeValue::Table(table) => Given::Table(
                table
                    .iter()
                    .map(|(key, value)| (key.get_ref().to_string(), Given::from_toml(value.get_ref())))
                    .collect(),
            ),
            _ => Given::Other,
        }
    }

    pub(super) fn text(&self) -> Result<String, String> {
        match self {
            Given::Text(text) | Given::Quoted(text) if text.is_empty() => Err("must not be empty".to_owned()),
            Given::Text(text) | Given::Quoted(text) => Ok(text.clone()),
            _ => Err("must be a text".to_owned()),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Result<bool, String> {
        match self {
            Given::Flag(flag) => Ok(*flag),
            Given::Text(text) => text.parse().map_err(|_| "must be true or false".to_owned()),
            _ => Err("must be true or false".to_owned()),
        }
    }

    pub(super) fn integer(&self, least: u64, most: u64) -> Result<u64, String> {
        let number = match self {
            Given::Integer(number) => *number,
            Given::Text(text) => {
                text.trim().parse::<i64>().map_err(|_| "must be a whole number".to_owned())?
            }
            _ => return Err("must be a whole number".to_owned()),
        };
        match u64::try_from(number) {
            Ok(number) if number > most => Err(format!("must be at most {most}")),
            Ok(number) if number >= least => Ok(number),
            _ => Err(format!("must be at least {least}")),
        }
    }

    pub(super) fn parsed<T: FromStr>(&self, form: &str) -> Result<T, String> {
        self.text()?.parse().map_err(|_| format!("must be {form}"))
    }

    pub(super) fn url(&self) -> Result<Url, String> {
        url(&self.text()?)
    }

    pub(super) fn ranges(&self) -> Result<Vec<IpNet>, String> {
        let texts: Vec<String> = match self {
            Given::Text(text) => {
                text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
            }
            Given::List(items) => items.iter().map(Given::text).collect::<Result<_, _>>()?,
            _ => return Err("must be a list".to_owned()),
        };
        let range = |text: &String| {
            let single = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>()
                .or_else(|_| single())
                .map_err(|_| format!("`{text}` is not an address or range"))
        };
        texts.iter().map(range).collect()
    }

    pub(super) fn urls(&self) -> Result<Vec<(String, Url)>, String> {
        let pairs: Vec<(String, String)> = match self {
            Given::Text(text) => text
                .split(',')
                .filter(|part| !part.trim().is_empty())
                .map(|part| {
                    let (service, url) = part.split_once('=').ok_or("must be SERVICE=URL")?;
                    Ok((service.trim().to_owned(), url.trim().to_owned()))
                })
                .collect::<Result<_, String>>()?,
            Given::Table(pairs) => pairs
                .iter()
                .map(|(service, url)| {
                    Ok((service.clone(), url.text().map_err(|fault| format!("{service}: {fault}"))?))
                })
                .collect::<Result<_, String>>()?,
            _ => return Err("must be a table of URLs by service id".to_owned()),
        };
        let checked = |(service, text): (String, String)| {
            let url = url(&text).map_err(|fault| format!("{service}: {fault}"))?;
            Ok((service, url))
        };
        pairs.into_iter().map(checked).collect()
    }
}

fn url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Ok(url),
        _ => Err(format!("`{text}` is not an http or https URL")),
    }
}

pub(super) fn set(
    row: &Row,
    given: Given,
    settings: &mut Settings,
    tls: &mut TlsFiles,
) -> Result<(), String> {
    (row.set)(settings, tls, &given)
}

/// Reads a settings file.
pub(super) fn file(
    path: &Path,
    text: &str,
    settings: &mut Settings,
    tls: &mut TlsFiles,
    faults: &mut Vec<Fault>,
) {
    let line = |offset: usize| 1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        faults.push(Fault::new(format!("{}:{}", path.display(), line(at)), error.message()));
    }
    let mut found = Vec::new();
    flatten("", document.get_ref(), &mut found);
    found.sort_by_key(|(_, at, _)| *at);
    for (key, at, given) in found {
        let place = format!("{}:{}: {key}", path.display(), line(at));
        match TABLE.iter().find(|row| row.key == key) {
            Some(row) => set(row, given, settings, tls)
                .unwrap_or_else(|message| faults.push(Fault::new(place, message))),
            None => faults.push(Fault::new(
                place,
                format!("is unknown{}", meant(&key, TABLE.iter().map(|row| row.key.to_owned()))),
            )),
        }
    }
}

/// Keys with their tables, where they stand, and their values. A table that is itself a setting stays whole.
fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut Vec<(String, usize, Given)>) {
    for (key, value) in table.iter() {
        let key: &Spanned<DeString<'_>> = key;
        let name =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let is_setting = TABLE.iter().any(|row| row.key == name);
        let is_section =
            TABLE.iter().any(|row| row.key.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.')));
        match value.get_ref() {
            DeValue::Table(below) if is_section && !is_setting => flatten(&name, below, found),
            value => found.push((name, key.span().start, Given::from_toml(value))),
        }
    }
}

/// Reads `CROSSWALK_…` variables.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
    settings: &mut Settings,
    tls: &mut TlsFiles,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<String>,
) {
    let mut variables: Vec<_> =
        variables.into_iter().filter(|(name, _)| name.starts_with("CROSSWALK_")).collect();
    variables.sort();
    for (name, value) in variables {
        if OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        match TABLE.iter().find(|row| row.variable() == name) {
            Some(row) => set(row, Given::Text(value), settings, tls)
                .unwrap_or_else(|message| faults.push(Fault::new(name, message))),
            None => {
                warnings.push(format!(
                    "{name} names no setting{}",
                    meant(&name, TABLE.iter().map(Row::variable))
                ));
            }
        }
    }
}

/// `; did you mean …?` where a known name is near.
fn meant(name: &str, known: impl Iterator<Item = String>) -> String {
    let near = known.map(|known| (distance(name, &known), known)).min();
    match near {
        Some((distance, known)) if distance <= 2 + name.len() / 8 => format!("; did you mean {known}?"),
        _ => String::new(),
    }
}

/// Edits between two words (optimal string alignment: a swap of neighbours counts once).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let at = |row: &[usize], position: usize| row.get(position).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&row, j) + usize::from(a != b)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && left.get(i - 1) == Some(b) && right.get(j - 1) == Some(a);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}
