//! A strict JSON scanner: one pass over the bytes, values as spans of the text, nothing built.
//!
//! Accepts exactly what `serde_json` accepts when it reads a `Value`: the same grammar, lone surrogates and numbers beyond
//! `f64` refused, nesting below 128.

use std::borrow::Cow;

/// The nesting at which a document is refused.
const DEEPEST: u32 = 128;

/// Why a body is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The byte at which reading stopped.
    pub offset: usize,
    /// What was wrong there.
    pub message: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for Malformed {}

/// An object's key as it stands between the quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    /// The text, with its escapes.
    pub raw: &'a str,
    /// Whether there are escapes in it.
    pub escaped: bool,
}

impl<'a> Key<'a> {
    /// The key's text.
    pub fn text(&self) -> Cow<'a, str> {
        if self.escaped { unescape_inner(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

/// A position in a text that is being read.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

type Scan<T> = Result<T, Malformed>;

impl<'a> Scanner<'a> {
    /// Starts at the first value of a body, which must be UTF-8.
    pub fn new(body: &'a [u8]) -> Scan<Scanner<'a>> {
        let text = std::str::from_utf8(body)
            .map_err(|error| Malformed { offset: error.valid_up_to(), message: "not UTF-8".to_owned() })?;
        Ok(Scanner::of(text))
    }

    /// Starts at the first value of a text.
    pub fn of(text: &'a str) -> Scanner<'a> {
        let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, depth: 0 };
        scanner.whitespace();
        scanner
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes back to an earlier position at the same depth.
    pub fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// The text from a position to here.
    pub fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Makes sure that nothing but white space follows.
    pub fn end(&mut self) -> Scan<()> {
        self.whitespace();
        if self.at == self.bytes.len() { Ok(()) } else { self.fail("more after the end") }
    }

    /// Passes over white space.
    #[inline]
    pub fn whitespace(&mut self) {
        // Most JSON on the wire has none.
        if self.peek().is_some_and(|byte| byte > b' ') {
            return;
        }
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    fn fail<T>(&self, message: &str) -> Scan<T> {
        let message = if self.at >= self.bytes.len() { "unexpected end" } else { message };
        Err(Malformed { offset: self.at, message: message.to_owned() })
    }

    /// Enters the object or list that starts here.
    #[inline]
    pub fn enter(&mut self) -> Scan<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth >= DEEPEST {
            return self.fail("nested too deeply");
        }
        self.whitespace();
        Ok(())
    }

    /// Within an object: the next key, standing at its value afterwards; none behind the object's end.
    #[inline]
    pub fn next_key(&mut self, first: &mut bool) -> Scan<Option<Key<'a>>> {
        if self.next(first, b'}')? { self.key().map(Some) } else { Ok(None) }
    }

    /// Within a list: whether there is a next element, standing at it; otherwise behind the list's end.
    #[inline]
    pub fn next_element(&mut self, first: &mut bool) -> Scan<bool> {
        self.next(first, b']')
    }

    #[inline]
    fn next(&mut self, first: &mut bool, close: u8) -> Scan<bool> {
        self.whitespace();
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                return Ok(false);
            }
            Some(b',') if !*first => {
                self.at += 1;
                self.whitespace();
            }
            _ if *first => {}
            _ => return self.fail("expected a comma or the end"),
        }
        *first = false;
        Ok(true)
    }

    /// A key and its colon.
    #[inline]
    fn key(&mut self) -> Scan<Key<'a>> {
        if self.peek() != Some(b'"') {
            return self.fail("expected a key");
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let raw = self.text.get(start..self.at - 1).unwrap_or_default();
        if self.peek() != Some(b':') {
            self.whitespace();
            if self.peek() != Some(b':') {
                return self.fail("expected a colon");
            }
        }
        self.at += 1;
        self.whitespace();
        Ok(Key { raw, escaped })
    }

    /// Passes over the value that starts here, and checks it.
    #[inline]
    pub fn skip(&mut self) -> Scan<()> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.skip_plain(),
        }
    }

    #[inline]
    fn skip_plain(&mut self) -> Scan<()> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.fail("expected a value"),
        }
    }

    fn skip_nested(&mut self) -> Scan<()> {
        let base = self.depth;
        // One bit per open container, 1 for an object; 128 levels fit.
        let mut kinds: u128 = 0;
        loop {
            // At a value.
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    let object = open == b'{';
                    self.enter()?;
                    kinds = (kinds << 1) | u128::from(object);
                    if self.peek() != Some(if object { b'}' } else { b']' }) {
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => self.skip_plain()?,
            }
            // Behind a value, or at the end of an empty container.
            loop {
                if self.depth == base {
                    return Ok(());
                }
                self.whitespace();
                let object = kinds & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.whitespace();
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => {}
                    Some(b']') if !object => {}
                    _ => return self.fail("expected a comma or the end"),
                }
                self.at += 1;
                self.depth -= 1;
                kinds >>= 1;
            }
        }
    }

    #[inline]
    fn word(&mut self, word: &str) -> Scan<()> {
        if self.bytes.get(self.at..self.at + word.len()) == Some(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.fail("expected a value")
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Scan<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => {
                self.digits();
            }
            _ => return self.fail("expected a digit"),
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return self.fail("a number starts with 0");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.fail("expected a digit");
            }
        }
        let mut wide = self.at - start > 300;
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.fail("expected a digit");
            }
            wide = true;
        }
        if wide && self.since(start).parse::<f64>().is_ok_and(f64::is_infinite) {
            return self.fail("a number is out of range");
        }
        Ok(())
    }

    /// Passes over the text that starts here; whether it has escapes.
    #[inline]
    fn string(&mut self) -> Scan<bool> {
        let bytes = self.bytes;
        let mut at = self.at + 1;
        // Most texts are plain: eight bytes at a time up to the closing quote.
        while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let special = special(u64::from_le_bytes(*chunk));
            if special == 0 {
                at += 8;
                continue;
            }
            at += (special.trailing_zeros() / 8) as usize;
            break;
        }
        if bytes.get(at) == Some(&b'"') {
            self.at = at + 1;
            return Ok(false);
        }
        self.at = at;
        self.odd_string()
    }

    /// The rest of a text that has escapes, ends within the last bytes, or is broken; whether it has escapes.
    #[inline(never)]
    fn odd_string(&mut self) -> Scan<bool> {
        let mut escaped = false;
        loop {
            while let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
                let special = special(u64::from_le_bytes(*chunk));
                if special == 0 {
                    self.at += 8;
                } else {
                    self.at += (special.trailing_zeros() / 8) as usize;
                    break;
                }
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..0x20) => return self.fail("a control character in a text"),
                Some(_) => self.at += 1,
                None => return self.fail("unexpected end"),
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Scan<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.hex()? {
                0xDC00..0xE000 => self.fail("a lone surrogate"),
                0xD800..0xDC00 => {
                    if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                        return self.fail("a lone surrogate");
                    }
                    self.at += 1;
                    match self.hex()? {
                        0xDC00..0xE000 => Ok(()),
                        _ => self.fail("a lone surrogate"),
                    }
                }
                _ => Ok(()),
            },
            _ => self.fail("an unknown escape"),
        }
    }

    /// The four digits behind the `u` that stands here.
    fn hex(&mut self) -> Scan<u32> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return self.fail("expected four hexadecimal digits");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// High bits set at least at the first byte that ends a plain run: a quote, a backslash or a control character.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let quote = word ^ (ONES * 0x22);
    let slash = word ^ (ONES * 0x5C);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (control | (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash)) & HIGH
}

/// The text of a raw JSON string; none for other values.
pub(super) fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    Some(if inner.contains('\\') { unescape_inner(inner) } else { Cow::Borrowed(inner) })
}

/// The text of a raw JSON scalar: a string's own, a number's or boolean's spelling; none for null, lists and objects.
pub(super) fn scalar_text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first() {
        Some(b'"') => text_of(raw),
        Some(b'{' | b'[' | b'n') | None => None,
        Some(_) => Some(Cow::Borrowed(raw)),
    }
}

fn unescape_inner(inner: &str) -> Cow<'_, str> {
    // The scanner has checked it, so that this cannot fail.
    Cow::Owned(serde_json::from_str(&format!("\"{inner}\"")).unwrap_or_default())
}

/// Writes a text as a JSON string.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut clean = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(text.as_bytes().get(clean..index).unwrap_or_default());
        clean = index + 1;
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(text.as_bytes().get(clean..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Whether a body is JSON by our rules.
    fn accepts(body: &[u8]) -> bool {
        Scanner::new(body).and_then(|mut s| s.skip().and_then(|()| s.end())).is_ok()
    }

    fn agree(body: &[u8]) {
        let oracle = serde_json::from_slice::<Value>(body).is_ok();
        assert_eq!(accepts(body), oracle, "{}", String::from_utf8_lossy(body));
    }

    #[test]
    fn odd_documents_are_judged_as_serde_json_judges_them() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        let deep_objects = |n: usize| "{\"a\":".repeat(n) + "1" + &"}".repeat(n);
        for text in [
            "",
            " ",
            "nul",
            "null",
            "null x",
            "tru",
            "-",
            "-0",
            "01",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1e5",
            "1e999",
            "-1e999",
            "0e999",
            "1e-999",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\uD800\"",
            "\"\\uDC00\"",
            "\"\\uD83D\\uDE00\"",
            "\"\\uD83D\\u0041\"",
            "\"\\uD83Dx\"",
            "\"\t\"",
            "\"\u{7f}\"",
            "\"é日本\"",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,\"a\":2}",
            "[]]",
            "{}[]",
            "[1}",
            "{\"a\":1]",
            "\u{feff}1",
            "[ ]",
            "{ }",
            "{\"a\" : [ ] , \"b\":{ } }",
            "\"12345678\\n12345678\"",
            "1 ",
            "\n1",
            "+1",
            "NaN",
            "Infinity",
            "\"\\/\"",
            "[\"\\\"]",
        ] {
            agree(text.as_bytes());
        }
        for n in [126, 127, 128, 129, 200] {
            agree(deep(n).as_bytes());
            agree(deep_objects(n).as_bytes());
        }
        agree(format!("1{}", "0".repeat(400)).as_bytes());
        agree(format!("1{}e-400", "0".repeat(400)).as_bytes());
        agree(b"\"\xff\"");
        agree(b"\"\xed\xa0\x80\"");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn real_json_is_accepted_and_damaged_json_judged_alike(
            value in json(),
            pretty in any::<bool>(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..3),
        ) {
            let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
            let mut body = text.unwrap();
            prop_assert!(accepts(&body));
            for (index, byte, how) in damage {
                if body.is_empty() { break; }
                let at = index.index(body.len());
                match how {
                    0 => body[at] = byte,
                    1 => { body.remove(at); }
                    _ => body.insert(at, byte),
                }
            }
            agree(&body);
        }

        #[test]
        fn text_near_json_is_judged_alike(text in "[\\[\\]{}:,\"\\\\u0-9eEdD+. ntrfalse-]{0,24}") {
            agree(text.as_bytes());
        }

        #[test]
        fn numbers_and_escapes_are_judged_alike(text in "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?|\"(\\\\[a-z\"/\\\\]|\\\\u[dD89abcdfF0-9]{4}|[a-zé]){0,6}\"") {
            agree(text.as_bytes());
        }

        #[test]
        fn written_text_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            push_text(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
            let raw = String::from_utf8(out).unwrap();
            prop_assert_eq!(text_of(&raw).unwrap(), text);
        }
    }
}
