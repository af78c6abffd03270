//! How long something takes: whole seconds (or minutes) on the unified side.

use serde_json::Value;

use super::super::scan::scalar_text;
use super::{kind_of_raw, only};

/// How the wire spells a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// `HH:MM` or `HH:MM:SS`; written with seconds.
    Clock,
    /// Milliseconds, as text or number; written as text.
    Milliseconds,
}

/// Whole seconds or minutes; what is left over is dropped.
pub(super) fn read(raw: &str, form: Form, minutes: bool, out: &mut Vec<u8>) -> Result<bool, String> {
    let text = match scalar_text(raw) {
        Some(text) => text,
        None if raw == "null" => return Ok(false),
        None => return Err(format!("a length of time was expected, found {}", kind_of_raw(raw))),
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(false);
    }
    let seconds = match form {
        Form::Clock => clock(text),
        Form::Milliseconds => text.parse::<f64>().ok().filter(|ms| (0.0..9e15).contains(ms)).map(whole),
    };
    let seconds = seconds.ok_or("a length of time was expected, found something else")?;
    out.extend_from_slice((if minutes { seconds / 60 } else { seconds }).to_string().as_bytes());
    Ok(true)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to lie between 0 and 9e15"
)]
fn whole(ms: f64) -> u64 {
    (ms / 1000.0) as u64
}

fn clock(text: &str) -> Option<u64> {
    let mut parts = text.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 100_000));
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let seconds = match parts.next() {
        Some(seconds) => seconds?,
        None => 0,
    };
    (parts.next().is_none() && minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Seconds (or minutes) of a body in the wire's spelling.
pub(super) fn write(value: &Value, form: Form, minutes: bool) -> Result<Value, String> {
    let number = value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0).then(|| format!("{number:.0}").parse().ok())?
    });
    let number = number.ok_or_else(|| only("a whole number that is not negative", value))?;
    let seconds =
        number.checked_mul(if minutes { 60 } else { 1 }).ok_or("the length of time is out of range")?;
    Ok(Value::from(match form {
        Form::Clock => format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        Form::Milliseconds => {
            seconds.checked_mul(1000).ok_or("the length of time is out of range")?.to_string()
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seconds(raw: &str, form: Form) -> Result<String, String> {
        let mut out = Vec::new();
        read(raw, form, false, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn lengths_of_time_go_both_ways() {
        for (number, form, wire) in [
            (5400, Form::Clock, "\"01:30:00\""),
            (61, Form::Clock, "\"00:01:01\""),
            (0, Form::Clock, "\"00:00:00\""),
            (360_000, Form::Clock, "\"100:00:00\""),
            (38, Form::Milliseconds, "\"38000\""),
        ] {
            assert_eq!(write(&json!(number), form, false).unwrap().to_string(), wire);
            assert_eq!(seconds(wire, form), Ok(number.to_string()));
        }
        assert_eq!(seconds("\"01:30\"", Form::Clock), Ok("5400".to_owned()));
        assert_eq!(seconds("\"\"", Form::Clock), Ok(String::new()));
        for wrong in ["\"1\"", "\"1:60\"", "\"-1:00\"", "\"a:b\"", "{}", "\"1:2:3:4\""] {
            assert!(seconds(wrong, Form::Clock).is_err(), "{wrong}");
        }
        assert!(write(&json!(-1), Form::Clock, false).is_err());
        assert_eq!(write(&json!(60.0), Form::Clock, false).unwrap(), json!("00:01:00"));
    }
}
