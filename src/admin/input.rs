//! Secrets and key=value pairs from files and standard input.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Error;
use crate::model::{Credentials, Secret};
use crate::storage::now_ms;

/// The text of a file, or of `stdin` where the name is `-`.
pub fn read(name: &str, stdin: &mut dyn Read) -> Result<Zeroizing<String>, Error> {
    let mut text = Zeroizing::new(String::new());
    let done = match name {
        "-" => stdin.read_to_string(&mut text).map(|_| ()),
        file => fs::read_to_string(file).map(|read| text = Zeroizing::new(read)),
    };
    done.map_err(|error| Error::File(if name == "-" { "standard input" } else { name }.to_owned(), error))?;
    Ok(text)
}

/// One secret: the text without the line end.
pub fn secret(name: &str, stdin: &mut dyn Read) -> Result<Secret, Error> {
    let text = read(name, stdin)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::Input(format!("{name} holds no secret")));
    }
    Ok(Secret::new(text))
}

/// A `key=value` argument.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("{text:?} is not key=value")),
    }
}

/// A date or a point in time, in milliseconds since 1970; a date is its beginning in UTC.
pub fn moment(text: &str) -> Result<i64, String> {
    let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| date().map(|date| date.timestamp()));
    time.map(jiff::Timestamp::as_millisecond)
        .ok_or_else(|| format!("{text:?} is no time such as 2027-01-31 or 2027-01-31T09:30:00Z"))
}

/// Credentials from a text: a JSON object, or a `key=value` on each line (blank lines and `#` lines passed over).
/// OAuth tokens where a key `access_token` or `refresh_token` is among them.
pub fn credentials(text: &str) -> Result<Credentials, Error> {
    let mut values: BTreeMap<String, Secret> = if text.trim_start().starts_with('{') {
        let object: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| Error::Input(format!("credentials: line {} is no JSON", error.line())))?;
        let one = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, Secret::new(text))),
            Value::Number(number) => Ok((key, Secret::new(number.to_string()))),
            _ => Err(Error::Input(format!("credentials: {key} must be a text"))),
        };
        object.into_iter().map(one).collect::<Result<_, _>>()?
    } else {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let one = |(at, line): (usize, &str)| match pair(line) {
            Ok((key, value)) => Ok((key, Secret::new(value))),
            // The line itself is left out of the message: it may be a secret.
            Err(_) => Err(Error::Input(format!("credentials: line {at} is not key=value"))),
        };
        lines.map(one).collect::<Result<_, _>>()?
    };
    if values.is_empty() {
        return Err(Error::Input("credentials: there are none".to_owned()));
    }
    if !values.contains_key("access_token") && !values.contains_key("refresh_token") {
        return Ok(Credentials::Static { values });
    }
    let access_token = values.remove("access_token").unwrap_or_else(|| Secret::new(""));
    let refresh_token = values.remove("refresh_token").filter(|token| !token.is_empty());
    let mut number = |key: &str| {
        let whole = |secret: Secret| secret.expose().parse::<i64>();
        values
            .remove(key)
            .map(whole)
            .transpose()
            .map_err(|_| Error::Input(format!("credentials: {key} must be seconds")))
    };
    let ends = number("expires_at")?;
    let lasts = number("expires_in")?;
    let expires_at = ends.or_else(|| lasts.map(|seconds| (now_ms() / 1000).saturating_add(seconds)));
    let scope = values.remove("scope").map(|scope| scope.expose().to_owned()).unwrap_or_default();
    values.remove("token_type");
    if let Some(other) = values.keys().next() {
        return Err(Error::Input(format!(
            "credentials: {other} is none of access_token, refresh_token, expires_at, expires_in, scope, token_type"
        )));
    }
    Ok(Credentials::OAuth { access_token, refresh_token, expires_at, scope })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_json_say_the_same() {
        let lines = credentials("# two halves\nkey_id = a=b \n\nsecret=s\n").unwrap();
        let json = credentials(r#"{"key_id": "a=b", "secret": "s"}"#).unwrap();
        assert_eq!(lines, json);
        let Credentials::Static { values } = lines else { panic!("not static") };
        assert_eq!((values["key_id"].expose(), values["secret"].expose()), ("a=b", "s"));
    }

    #[test]
    fn tokens_are_told_by_their_names() {
        let read = credentials(
            r#"{"access_token":"at","refresh_token":"rt","expires_at":1900000000,"scope":"a b"}"#,
        );
        let expected = Credentials::OAuth {
            access_token: Secret::new("at"),
            refresh_token: Some(Secret::new("rt")),
            expires_at: Some(1_900_000_000),
            scope: "a b".to_owned(),
        };
        assert_eq!(read.unwrap(), expected);
        let Credentials::OAuth { access_token, expires_at, .. } =
            credentials("refresh_token=rt\nexpires_in=60").unwrap()
        else {
            panic!("not OAuth")
        };
        assert!(
            access_token.is_empty() && expires_at.is_some_and(|end| (end - now_ms() / 1000 - 60).abs() <= 5)
        );
    }

    #[test]
    fn faults_are_named_without_the_secret() {
        for (text, says) in [
            ("", "none"),
            ("api_key=k\nhush-hush", "line 2"),
            ("{\"api_key\":\n\"hush-hush\"", "line 2"),
            (r#"{"api_key":["hush-hush"]}"#, "api_key must be a text"),
            ("access_token=hush-hush\nexpires_in=soon", "expires_in must be seconds"),
            ("access_token=hush-hush\nacces=1", "acces is none of"),
        ] {
            let error = credentials(text).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("hush"), "{text}: {error}");
        }
    }
}
