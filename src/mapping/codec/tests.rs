//! One named row per fact about a codec.

use serde_json::{Value, json};

use super::super::{Reading, Writing};
use super::Codec;

fn read(codec: &str, wire: &Value) -> Result<Value, String> {
    let reading = Reading { currency: Some("USD"), timezone: Some("Europe/Brussels"), ..Reading::default() };
    Codec::parse(codec).unwrap().read(wire, &reading)
}

fn write(codec: &str, unified: &Value) -> Result<Value, String> {
    let writing = Writing { currency: Some("USD"), timezone: Some("Europe/Brussels"), ..Writing::default() };
    Codec::parse(codec).unwrap().write(unified, &writing)
}

#[test]
fn values_read() {
    for (fact, codec, wire, unified) in [
        ("text stays as it is", "text", json!("a \"b\" é"), json!("a \"b\" é")),
        ("a number becomes text", "text", json!(12.5), json!("12.5")),
        ("a boolean becomes text", "text", json!(true), json!("true")),
        ("null stays null", "text", json!(null), json!(null)),
        ("a whole number in text", "integer/text", json!("12"), json!(12)),
        ("a whole number with a fraction of nothing", "integer", json!(12.0), json!(12)),
        ("a number in text", "number/text", json!(" 12.50 "), json!(12.5)),
        ("no number is null", "number/text", json!(""), json!(null)),
        ("a ratio is a percentage", "ratio/text", json!("0.2"), json!(20)),
        ("a ratio keeps its digits", "ratio", json!(0.125), json!(12.5)),
        ("dollars are cents", "money", json!(5), json!(500)),
        ("dollars in text are cents", "money/text", json!("5000.00"), json!(500_000)),
        ("a power of ten", "money/text", json!("1.5E3"), json!(150_000)),
        ("cents on the wire", "money/minor", json!(512), json!(512)),
        ("negative amounts", "money/text", json!("-0.05"), json!(-5)),
        ("true in text", "boolean/text", json!("TRUE"), json!(true)),
        ("zero is false", "boolean/number", json!(0), json!(false)),
        ("yes", "boolean/yes_no", json!("yes"), json!(true)),
        ("turned over", "boolean/not", json!(true), json!(false)),
        ("no boolean is null", "boolean/text", json!(""), json!(null)),
        ("an id is text", "id", json!(12), json!("12")),
        ("an id beyond 2^53 is exact", "id", json!(9_007_199_254_740_993_u64), json!("9007199254740993")),
        ("an empty id is null", "id", json!(""), json!(null)),
        ("utc is copied", "datetime", json!("2026-02-25T16:23:49.023Z"), json!("2026-02-25T16:23:49.023Z")),
        (
            "an offset becomes utc",
            "datetime",
            json!("2026-02-25T16:23:49+05:30"),
            json!("2026-02-25T10:53:49Z"),
        ),
        (
            "an offset without colon",
            "datetime",
            json!("2026-02-25T16:23:49.000+0000"),
            json!("2026-02-25T16:23:49Z"),
        ),
        (
            "a blank between day and time",
            "datetime/space",
            json!("2026-02-25 16:23:49"),
            json!("2026-02-25T16:23:49Z"),
        ),
        (
            "the connection's time zone",
            "datetime/local",
            json!("2026-07-01 12:00:00"),
            json!("2026-07-01T10:00:00Z"),
        ),
        (
            "milliseconds",
            "datetime/epoch_ms",
            json!(1_700_000_000_123_i64),
            json!("2023-11-14T22:13:20.123Z"),
        ),
        (
            "milliseconds in text",
            "datetime/epoch_ms/text",
            json!("1700000000123"),
            json!("2023-11-14T22:13:20.123Z"),
        ),
        ("seconds", "datetime/epoch_s", json!(1_700_000_000), json!("2023-11-14T22:13:20Z")),
        ("no time is null", "datetime/space", json!(""), json!(null)),
        ("a day", "date", json!("2026-05-17"), json!("2026-05-17")),
        ("a day from a point in time", "date/datetime", json!("2026-05-17T00:00:00Z"), json!("2026-05-17")),
        (
            "a day from midnight in milliseconds",
            "date/epoch_ms/text",
            json!("1778976000000"),
            json!("2026-05-17"),
        ),
        ("a currency is shouted", "currency", json!("eur"), json!("EUR")),
        ("html is text", "html", json!("<p>a &amp; b</p><p>c<br>d &lt;e&gt;</p>"), json!("a & b\nc\nd <e>")),
        ("a country by name", "country", json!("belgium"), json!("BE")),
        ("a country by three letters", "country", json!("JPN"), json!("JP")),
        ("text that is no country stays", "country", json!("Narnia"), json!("Narnia")),
        ("a list in one text", "list", json!("a; b;;c"), json!(["a", "b", "c"])),
        ("a number as text", "numeral", json!(12.5), json!("12.5")),
        ("anything", "json", json!({"a": [1]}), json!({"a": [1]})),
    ] {
        let expected = unified.to_string();
        let got = read(codec, &wire).map(|value| value.to_string());
        let same = got.as_ref().is_ok_and(|got| {
            let number = |text: &str| text.parse::<f64>().ok();
            *got == expected || (number(got).is_some() && number(got) == unified.as_f64())
        });
        assert!(same, "{fact}: {wire} as {codec} is {unified}, got {got:?}");
    }
}

#[test]
fn values_write() {
    for (fact, codec, unified, wire) in [
        ("text", "text", json!("a"), json!("a")),
        ("a python float is whole", "integer", json!(7500.0), json!(7500)),
        ("a number in text", "number/text", json!(12.5), json!("12.5")),
        ("a python float in text", "number/text", json!(10.0), json!("10")),
        ("a percentage is a ratio", "ratio/text", json!(20), json!("0.2")),
        ("cents are dollars", "money", json!(550), json!(5.5)),
        ("whole dollars", "money", json!(500), json!(5)),
        ("cents are dollars in text", "money/text", json!(5), json!("0.05")),
        ("nothing", "money/text", json!(0), json!("0")),
        ("true in text", "boolean/text", json!(true), json!("true")),
        ("true as a number", "boolean/number", json!(true), json!(1)),
        ("turned over", "boolean/not", json!(true), json!(false)),
        ("an id as a number", "id/number", json!("9007199254740993"), json!(9_007_199_254_740_993_u64)),
        ("a long id as text", "id", json!("123456789012345678901234"), json!("123456789012345678901234")),
        ("utc", "datetime", json!("2031-05-17T09:30:00+02:00"), json!("2031-05-17T07:30:00Z")),
        (
            "an offset without colon",
            "datetime/basic_offset",
            json!("2031-05-17T09:30:00Z"),
            json!("2031-05-17T09:30:00+0000"),
        ),
        (
            "whole seconds",
            "datetime/seconds",
            json!("2031-05-17T09:30:00.923456Z"),
            json!("2031-05-17T09:30:00Z"),
        ),
        ("a blank", "datetime/space", json!("2031-05-17T09:30:00.123456Z"), json!("2031-05-17 09:30:00")),
        (
            "the connection's time zone",
            "datetime/local",
            json!("2026-07-01T10:00:00Z"),
            json!("2026-07-01 12:00:00"),
        ),
        (
            "milliseconds",
            "datetime/epoch_ms",
            json!("2023-11-14T22:13:20.123Z"),
            json!(1_700_000_000_123_i64),
        ),
        ("seconds before 1970", "datetime/epoch_s", json!("1969-12-31T23:59:59.5Z"), json!(-1)),
        ("a day", "date", json!("2026-05-17"), json!("2026-05-17")),
        (
            "a day that an sdk sends as midnight",
            "date",
            json!("2026-05-17T00:00:00.000Z"),
            json!("2026-05-17"),
        ),
        ("a day as a point in time", "date/datetime", json!("2026-05-17"), json!("2026-05-17T00:00:00Z")),
        ("a day in milliseconds of text", "date/epoch_ms/text", json!("2026-05-17"), json!("1778976000000")),
        ("html", "html", json!("a < b\nc"), json!("a &lt; b<br>c")),
        ("a country's name", "country/name", json!("BE"), json!("Belgium")),
        ("three letters", "country/alpha3", json!("JP"), json!("JPN")),
        ("a list in one text", "list", json!(["a", "b"]), json!("a;b")),
        ("text that is a number", "numeral", json!("12.50"), json!(12.5)),
        ("null stays null", "money", json!(null), json!(null)),
    ] {
        let got = write(codec, &unified);
        assert_eq!(got, Ok(wire), "{fact}: {unified} as {codec}");
    }
}

#[test]
fn money_follows_its_currency() {
    let codec = Codec::parse("money/text").unwrap();
    for (currency, wire, minor) in [
        ("JPY", "5", json!(5)),
        ("BHD", "5.005", json!(5005)),
        ("usd", "5.1", json!(510)),
        ("KWD", "0.001", json!(1)),
    ] {
        let reading = Reading { currency: Some(currency), ..Reading::default() };
        assert_eq!(codec.read(&json!(wire), &reading), Ok(minor.clone()), "{currency}");
        let writing = Writing { currency: Some(currency), ..Writing::default() };
        assert_eq!(codec.write(&minor, &writing), Ok(json!(wire)), "{currency}");
    }
    assert!(codec.read(&json!("5"), &Reading::default()).unwrap_err().contains("currency"));
    assert!(codec.write(&json!(5), &Writing::default()).unwrap_err().contains("currency"));
}

#[test]
fn what_cannot_be_read_is_said() {
    for (codec, wire, why) in [
        ("text", json!({"a": 1}), "found an object"),
        ("integer", json!(12.5), "whole number"),
        ("integer/text", json!("12a"), "a number was expected"),
        ("number/text", json!("0x10"), "a number was expected"),
        ("money", json!(5.001), "more decimals"),
        ("money/minor", json!(5.5), "must be whole"),
        ("boolean", json!("maybe"), "true or false"),
        ("id", json!([1]), "an id was expected"),
        ("datetime", json!("2026-02-30T00:00:00Z"), "date-time was expected"),
        ("datetime", json!("2026-02-25 16:23:49"), "with a time zone"),
        ("datetime/epoch_ms", json!("soon"), "date-time was expected"),
        ("date", json!("17.05.2026"), "date was expected"),
    ] {
        let error = read(codec, &wire).unwrap_err();
        assert!(error.contains(why), "{codec} of {wire}: {error}");
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    for (codec, unified, why) in [
        ("text", json!(1), "text is needed, not a number"),
        ("integer", json!(1.5), "whole number"),
        ("number", json!("1"), "a number is needed, not text"),
        ("money", json!(1.5), "smallest unit"),
        ("boolean", json!("true"), "true or false is needed"),
        ("id/number", json!("12a"), "whole number as text"),
        ("id/number", json!("99999999999999999999"), "whole number as text"),
        ("datetime", json!("2031-05-17"), "date-time"),
        ("datetime", json!("2031-05-17T10:00:00"), "date-time"),
        ("date", json!("2031-05-17T10:00:00Z"), "a date"),
        ("date", json!("2031-02-30"), "a date"),
        ("list", json!(["a;b"]), "holds `;`"),
        ("numeral", json!("many"), "a number there"),
    ] {
        let error = write(codec, &unified).unwrap_err();
        assert!(error.contains(why), "{codec} of {unified}: {error}");
    }
}

#[test]
fn unknown_codecs_and_forms_are_refused() {
    for (name, why) in [
        ("datetme", "did you mean `datetime`?"),
        ("money/cents", "it has text, minor"),
        ("html/text", "it has only one"),
    ] {
        let error = Codec::parse(name).unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
    }
}
