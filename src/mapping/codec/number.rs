//! Numbers, money and booleans: exact decimals, never floating point.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Number, Value};

use super::super::scan::{Scanner, push_text, scalar_text};
use super::{kind_of_raw, only};

/// Whether a text is a JSON number.
pub(in super::super) fn is_number(text: &str) -> bool {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return false;
    }
    let mut scanner = Scanner::of(text);
    scanner.skip().and_then(|()| scanner.end()).is_ok() && !text.ends_with(char::is_whitespace)
}

/// The exact value of a number's text, up to 28 digits.
pub(in super::super) fn decimal(text: &str) -> Option<Decimal> {
    let value = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()?
    } else {
        Decimal::from_str_exact(text).ok()?
    };
    Some(value)
}

fn power(exponent: u32) -> Option<Decimal> {
    Some(Decimal::from(10_u64.checked_pow(exponent)?))
}

fn read_decimal(raw: &str) -> Result<Option<Decimal>, String> {
    let Some(text) = scalar_text(raw) else {
        return if raw == "null" {
            Ok(None)
        } else {
            Err(format!("a number was expected, found {}", kind_of_raw(raw)))
        };
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if !is_number(text) {
        return Err(format!("a number was expected, found {} that is none", kind_of_raw(raw)));
    }
    decimal(text).map(Some).ok_or_else(|| "the number has more than 28 digits".to_owned())
}

fn push_decimal(out: &mut Vec<u8>, value: Decimal) {
    let value = value.normalize();
    let text = if value.is_zero() { "0".to_owned() } else { value.to_string() };
    out.extend_from_slice(text.as_bytes());
}

/// A number, JSON or text on the wire; `scale` is how many powers of ten the unified side is larger by.
pub(super) fn read_number(raw: &str, scale: u32, out: &mut Vec<u8>) -> Result<bool, String> {
    if scale == 0 {
        if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            out.extend_from_slice(raw.as_bytes());
            return Ok(true);
        }
        if let Some(text) = scalar_text(raw)
            && is_number(text.trim())
        {
            out.extend_from_slice(text.trim().as_bytes());
            return Ok(true);
        }
    }
    let Some(value) = read_decimal(raw)? else { return Ok(false) };
    let scaled =
        power(scale).and_then(|power| value.checked_mul(power)).ok_or("the number is out of range")?;
    push_decimal(out, scaled);
    Ok(true)
}

/// A whole number, JSON or text on the wire.
pub(super) fn read_integer(raw: &str, scale: u32, out: &mut Vec<u8>) -> Result<bool, String> {
    let Some(value) = read_decimal(raw)? else { return Ok(false) };
    let scaled =
        power(scale).and_then(|power| value.checked_mul(power)).ok_or("the number is out of range")?;
    push_whole(out, scaled, "a whole number was expected")
}

fn push_whole(out: &mut Vec<u8>, value: Decimal, complaint: &str) -> Result<bool, String> {
    if !value.fract().is_zero() {
        return Err(complaint.to_owned());
    }
    let whole = value.to_i64().ok_or("the number is out of range")?;
    out.extend_from_slice(whole.to_string().as_bytes());
    Ok(true)
}

/// How many minor digits a currency has by ISO 4217.
pub(super) fn minor_digits(currency: &str) -> Result<u32, String> {
    let code = currency.trim().to_ascii_uppercase();
    iso_currency::Currency::from_code(&code)
        .and_then(|currency| currency.exponent())
        .map(u32::from)
        .ok_or_else(|| "the currency is not one whose minor unit is known".to_owned())
}

/// An amount in major units (or, `minor`, in minor ones) to an integer in minor units.
pub(super) fn read_money(
    raw: &str,
    minor: bool,
    currency: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<bool, String> {
    let Some(value) = read_decimal(raw)? else { return Ok(false) };
    if minor {
        return push_whole(out, value, "an amount in minor units must be whole");
    }
    let currency = currency.ok_or("the amount's currency is not known")?;
    let scaled = power(minor_digits(currency)?)
        .and_then(|power| value.checked_mul(power))
        .ok_or("the amount is out of range")?;
    push_whole(out, scaled, "the amount has more decimals than its currency")
}

/// The text of a JSON number without a needless fraction: `7500.0` is `7500`.
pub(in super::super) fn number_text(number: &Number) -> String {
    let text = number.to_string();
    match decimal(&text) {
        Some(value) if text.contains(['.', 'e', 'E']) => {
            let value = value.normalize();
            if value.is_zero() { "0".to_owned() } else { value.to_string() }
        }
        _ => text,
    }
}

/// A decimal as a JSON number, refused where its digits would not survive.
fn exact_number(value: Decimal) -> Result<Value, String> {
    let value = value.normalize();
    if value.is_zero() {
        return Ok(Value::from(0));
    }
    if let Some(whole) = value.to_i64().filter(|_| value.fract().is_zero()) {
        return Ok(Value::from(whole));
    }
    let text = value.to_string();
    let number = text.parse::<f64>().ok().and_then(Number::from_f64).ok_or("the number is out of range")?;
    if decimal(&number.to_string()).map(|back| back.normalize()) != Some(value) {
        return Err("the number has more digits than the CRM's number type keeps".to_owned());
    }
    Ok(Value::Number(number))
}

fn body_decimal(value: &Value, wanted: &str) -> Result<Decimal, String> {
    let Value::Number(number) = value else { return Err(only(wanted, value)) };
    decimal(&number.to_string()).ok_or_else(|| "the number is out of range".to_owned())
}

fn on_wire(value: Decimal, text: bool) -> Result<Value, String> {
    if text {
        let value = value.normalize();
        return Ok(Value::String(if value.is_zero() { "0".to_owned() } else { value.to_string() }));
    }
    exact_number(value)
}

/// A number of a body on its way to the wire.
pub(super) fn write_number(value: &Value, scale: u32, text: bool, whole: bool) -> Result<Value, String> {
    if !text && !whole && scale == 0 && value.is_number() {
        let Value::Number(number) = value else { return Ok(value.clone()) };
        let plain = number_text(number);
        return Ok(plain.parse::<i64>().map_or_else(|_| value.clone(), Value::from));
    }
    let value = body_decimal(value, if whole { "a whole number" } else { "a number" })?;
    if whole && !value.fract().is_zero() {
        return Err("a whole number is needed".to_owned());
    }
    let mut scaled = value.normalize();
    // Divided by moving the point, which is exact; 28 digits behind it are the most there can be.
    scaled.set_scale(scaled.scale() + scale).map_err(|_| "the number has too many digits".to_owned())?;
    on_wire(scaled, text)
}

/// A number that the unified side keeps as text.
pub(super) fn write_numeral(value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else { return Err(only("a number as text", value)) };
    let number = Some(text.trim()).filter(|text| is_number(text)).and_then(decimal);
    exact_number(number.ok_or("the CRM keeps a number there, and the text is none")?)
}

/// An amount in minor units of a body to the wire's major units.
pub(super) fn write_money(
    value: &Value,
    minor: bool,
    text: bool,
    currency: Option<&str>,
) -> Result<Value, String> {
    let value = body_decimal(value, "a whole number of minor units")?;
    if !value.fract().is_zero() {
        return Err("an amount is a whole number of the currency's smallest unit".to_owned());
    }
    let digits = if minor {
        0
    } else {
        minor_digits(currency.ok_or("the amount's currency must be known to write it")?)?
    };
    let mut major = value.normalize();
    major.set_scale(major.scale() + digits).map_err(|_| "the amount is out of range".to_owned())?;
    on_wire(major, text)
}

/// How the wire spells true and false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Truth {
    /// JSON booleans.
    Json,
    /// `"true"` and `"false"`.
    Text,
    /// 1 and 0.
    Number,
    /// `"yes"` and `"no"`.
    YesNo,
}

/// A boolean in any of the usual spellings; `not` turns it over.
pub(super) fn read_boolean(raw: &str, not: bool, out: &mut Vec<u8>) -> Result<bool, String> {
    let text = match scalar_text(raw) {
        Some(text) => text,
        None if raw == "null" => return Ok(false),
        None => return Err(format!("true or false was expected, found {}", kind_of_raw(raw))),
    };
    let known = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let value = if text.is_empty() {
        return Ok(false);
    } else if known(&["true", "1", "yes", "y", "on", "t"]) {
        true
    } else if known(&["false", "0", "no", "n", "off", "f"]) {
        false
    } else {
        return Err(format!("true or false was expected, found {} that is neither", kind_of_raw(raw)));
    };
    out.extend_from_slice(if value != not { b"true" } else { b"false" });
    Ok(true)
}

/// A boolean of a body in the wire's spelling.
pub(super) fn write_boolean(value: &Value, truth: Truth, not: bool) -> Result<Value, String> {
    let Value::Bool(value) = value else { return Err(only("true or false", value)) };
    let value = *value != not;
    Ok(match truth {
        Truth::Json => Value::Bool(value),
        Truth::Text => Value::from(if value { "true" } else { "false" }),
        Truth::Number => Value::from(u8::from(value)),
        Truth::YesNo => Value::from(if value { "yes" } else { "no" }),
    })
}

/// An id, number or text on the wire, as text.
pub(super) fn read_id(raw: &str, prefix: &str, out: &mut Vec<u8>) -> Result<bool, String> {
    match raw.as_bytes().first() {
        Some(b'"') if prefix.is_empty() => {
            if raw == "\"\"" {
                return Ok(false);
            }
            out.extend_from_slice(raw.as_bytes());
            Ok(true)
        }
        Some(b'"' | b'-' | b'0'..=b'9') => {
            let Some(text) = scalar_text(raw).filter(|text| !text.is_empty()) else { return Ok(false) };
            if prefix.is_empty() {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            } else {
                push_text(out, &format!("{prefix}{text}"));
            }
            Ok(true)
        }
        Some(b'n') => Ok(false),
        _ => Err(format!("an id was expected, found {}", kind_of_raw(raw))),
    }
}

/// An id of a body as the wire has it.
pub(super) fn write_id(value: &Value, prefix: &str, number: bool) -> Result<Value, String> {
    let Value::String(text) = value else { return Err(only("an id as text", value)) };
    let text = text.strip_prefix(prefix).ok_or_else(|| format!("the id must start with `{prefix}`"))?;
    if !number {
        return Ok(Value::from(text));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse::<u64>()
        .ok()
        .filter(|_| plain)
        .map(Value::from)
        .ok_or_else(|| "the id must be a whole number as text".to_owned())
}
