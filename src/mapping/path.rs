//! Paths into downstream JSON: `properties.firstname`, `emails[0].value`, `results[type=x].id`, `"odd.key".a`, `properties.*`.

use std::fmt;

/// How many steps a path may have.
const LONGEST: usize = 16;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// The element of a list at a position.
    Index(usize),
    /// The first element of a list whose key has that value, compared as text.
    Choice(String, String),
    /// Every key that no other path names.
    Rest,
}

/// A path; the empty one (written `.`) is the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path {
    /// The steps from the outermost in.
    pub steps: Vec<Step>,
}

impl Path {
    /// Reads a path.
    ///
    /// Errors: a sentence saying what is wrong with it.
    pub fn parse(text: &str) -> Result<Path, String> {
        let wrong = |why: &str| format!("`{text}` is not a path: {why}");
        let mut steps = Vec::new();
        if text == "." || text.is_empty() {
            return Ok(Path { steps });
        }
        let mut rest = text;
        loop {
            let key;
            (key, rest) = take_key(rest).map_err(wrong)?;
            steps.push(if key == Token::Star { Step::Rest } else { Step::Key(key.text()) });
            while let Some(inside) = rest.strip_prefix('[') {
                let end = inside.find(']').ok_or_else(|| wrong("`[` without `]`"))?;
                let (inner, after) =
                    (inside.get(..end).unwrap_or_default(), inside.get(end + 1..).unwrap_or_default());
                steps.push(match inner.split_once('=') {
                    Some((key, value)) if !key.is_empty() => {
                        Step::Choice(key.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned())
                    }
                    _ => Step::Index(inner.parse().map_err(|_| {
                        wrong("between `[` and `]` stands a position such as `0`, or `key=value`")
                    })?),
                });
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return Err(wrong("`.` or the end was expected")),
            }
        }
        if steps.len() > LONGEST {
            return Err(wrong("it has more than 16 steps"));
        }
        let last = steps.len() - 1;
        if steps.iter().take(last).any(|step| *step == Step::Rest) {
            return Err(wrong("`*` can only be its last step"));
        }
        Ok(Path { steps })
    }

    /// Whether it names every other key of an object.
    pub fn is_rest(&self) -> bool {
        self.steps.last() == Some(&Step::Rest)
    }

    /// The path's last key, without positions.
    pub fn last_key(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            _ => None,
        })
    }

    /// Whether one path is the other or lies within it.
    pub fn overlaps(&self, other: &Path) -> bool {
        self.steps.iter().zip(&other.steps).all(|(a, b)| a == b)
    }

    /// This path with another one behind it.
    pub fn join(&self, below: &Path) -> Path {
        Path { steps: self.steps.iter().chain(&below.steps).cloned().collect() }
    }
}

#[derive(PartialEq)]
enum Token<'a> {
    Star,
    Plain(&'a str),
}

impl Token<'_> {
    fn text(&self) -> String {
        match self {
            Token::Star => "*".to_owned(),
            Token::Plain(text) => (*text).to_owned(),
        }
    }
}

fn take_key(text: &str) -> Result<(Token<'_>, &str), &'static str> {
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let inside = text.get(1..).unwrap_or_default();
        let end = inside.find(quote).ok_or("a quote is not closed")?;
        return Ok((
            Token::Plain(inside.get(..end).unwrap_or_default()),
            inside.get(end + 1..).unwrap_or_default(),
        ));
    }
    let end = text.find(['.', '[', ']']).unwrap_or(text.len());
    let key = text.get(..end).unwrap_or_default();
    let rest = text.get(end..).unwrap_or_default();
    match key {
        "" => Err("a key is empty"),
        "*" => Ok((Token::Star, rest)),
        _ if key.contains(char::is_whitespace) => Err("a key with spaces needs quotes"),
        _ => Ok((Token::Plain(key), rest)),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str(".");
        }
        for (index, step) in self.steps.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            match step {
                Step::Key(key) if key.contains(['.', '[', ']', ' ', '*', '\'']) || key.is_empty() => {
                    write!(f, "{dot}\"{key}\"")?;
                }
                Step::Key(key) => write!(f, "{dot}{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Choice(key, value) => write!(f, "[{key}={value}]")?,
                Step::Rest => write!(f, "{dot}*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_shown_again() {
        for text in [
            ".",
            "id",
            "a.b.c",
            "emails[0].value",
            "associations.companies.results[type=x].id",
            "p.*",
            "\"odd.key\".a",
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Path::parse("a.'x y'").unwrap().steps[1], Step::Key("x y".into()));
    }

    #[test]
    fn bad_paths_are_refused_with_a_reason() {
        for (text, why) in [
            ("a..b", "a key is empty"),
            ("a.", "a key is empty"),
            ("a[", "without"),
            ("a[x]", "position"),
            ("a.*.b", "last step"),
            ("a b", "quotes"),
            ("\"a", "not closed"),
        ] {
            let error = Path::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
