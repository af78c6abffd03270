//! Request bodies: collected within limits, parsed strictly.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::query::Fault;
use crate::error::{Error, Kind, Result};

/// Deepest nesting of a body.
const DEEPEST: u8 = 32;
/// Whole numbers up to here are the same as an integer and as a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads a whole body.
///
/// Errors: `PayloadTooLargeError` above `limit` bytes, `RequestTimeoutError` after `time`, and
/// `RequestValidationError` when the caller breaks off.
pub(super) async fn collect(mut body: Incoming, limit: usize, time: Duration) -> Result<Bytes> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let too_large = || {
        Error::new(Kind::PayloadTooLargeError, format!("The body is larger than {limit} bytes."))
            .detail_entry("limit_bytes", limit)
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let all = async {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Error::new(Kind::RequestValidationError, "The body ended before it was whole.").source(error)
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if first.len() + rest.len() + data.len() > limit {
                return Err(too_large());
            }
            if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    };
    match tokio::time::timeout(time, all).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::new(
            Kind::RequestTimeoutError,
            format!("The body did not arrive within {} ms.", time.as_millis()),
        )),
    }
}

/// Refuses a body that does not claim to be JSON in UTF-8.
///
/// Errors: `UnsupportedMediaTypeError`.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<()> {
    let refused = |says: &str| Err(Error::new(Kind::UnsupportedMediaTypeError, says));
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return refused("The body needs one Content-Type: application/json.");
    };
    let mut parts = content_type.to_str().unwrap_or_default().split(';').map(str::trim);
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return refused("The body must be application/json.");
    }
    let other_charset = |part: &str| {
        part.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("charset")
                && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    };
    if parts.any(other_charset) {
        return refused("The body must be UTF-8.");
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            refused("The body must not be compressed.")
        }
        _ => Ok(()),
    }
}

/// Parses a JSON object. Refused are duplicate keys, deep nesting and anything after the object. Numbers with a
/// fraction of zeros become integers.
pub(super) fn object(bytes: &[u8]) -> std::result::Result<Map<String, Value>, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict { depth: DEEPEST }.deserialize(&mut deserializer);
    match parsed.and_then(|value| deserializer.end().map(|()| value)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Fault::pointer("", "The body must be a JSON object.")),
        Err(error) => {
            let text = error.to_string();
            let message = text.split(" at line ").next().unwrap_or_default();
            Err(Fault::pointer(
                "",
                format!(
                    "The body is not valid JSON, line {} column {}: {message}.",
                    error.line(),
                    error.column()
                ),
            ))
        }
    }
}

struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: serde::de::Error>(&self) -> std::result::Result<Strict, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested deeper than 32 levels"))?;
        Ok(Strict { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    // Some SDKs write every number as a float: 7500.0 means 7500.
    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        if value.fract() == 0.0 && value.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
            return Ok((value as i64).into());
        }
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> std::result::Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom("a key is given twice in one object"));
            }
            let value = map.next_value_seed(self.deeper()?)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn numbers_with_a_fraction_of_zeros_are_integers() {
        let read = object(br#"{"a": 7500.0, "b": -0.0, "c": 0.5, "d": 1e20, "e": [10.0]}"#).unwrap();
        assert_eq!(Value::Object(read).to_string(), r#"{"a":7500,"b":0,"c":0.5,"d":1e+20,"e":[10]}"#);
    }

    #[test]
    fn what_is_not_an_object_of_strict_json_is_refused_with_its_place() {
        let deep = format!("{}1{}", "{\"a\":".repeat(33), "}".repeat(33));
        let rows: [(&[u8], &str); 9] = [
            (b"[]", "must be a JSON object"),
            (b"", "line 1 column 0: EOF while parsing a value"),
            (b"{\n \"a\": }", "line 2 column 7: expected value"),
            (b"{\"a\":1,\"a\":2}", "a key is given twice"),
            (b"{} {}", "trailing characters"),
            (b"{\"a\":NaN}", "line 1 column 6: expected"),
            (b"{\"a\":\"\xff\"}", "invalid unicode"),
            (b"{\"a\":1e999}", "number out of range"),
            (deep.as_bytes(), "nested deeper than 32 levels"),
        ];
        for (bytes, message) in rows {
            let fault = format!("{:?}", object(bytes).unwrap_err());
            assert!(fault.contains(message), "{fault} ≠ {message}");
        }
        let within = format!("{}1{}", "{\"a\":".repeat(32), "}".repeat(32));
        assert!(object(within.as_bytes()).is_ok());
    }

    #[test]
    fn content_types() {
        let accepted = [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; x=1",
        ];
        for text in accepted {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
            assert!(expect_json(&headers).is_ok(), "{text}");
        }
        for text in ["text/json", "", "application/json; charset=latin1", "application/x-www-form-urlencoded"]
        {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
            assert_eq!(expect_json(&headers).unwrap_err().kind(), Kind::UnsupportedMediaTypeError, "{text}");
        }
        assert!(expect_json(&HeaderMap::new()).is_err());
        let gzip = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        assert!(expect_json(&gzip).is_err());
    }
}
