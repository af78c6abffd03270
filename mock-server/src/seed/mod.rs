//! Room: seed. In: a seed, a record's index. Out: believable, repeatable values. Never: the clock, randomness.

pub mod words;

/// A small deterministic generator (splitmix64): the same seed gives the same values on every machine.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator for one record: the run's seed, the object's name, the record's index.
    pub fn new(seed: u64, object: &str, index: u64) -> Rng {
        let mut state = seed ^ 0x9E37_79B9_7F4A_7C15;
        for byte in object.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Rng(mix(state ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03)))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`; zero when `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// True for `percent` of the calls.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One element of a list; the empty string for an empty list.
    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        list.get(at).copied().unwrap_or("")
    }

    /// One element of a list of anything.
    pub fn one<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let at = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        list.get(at)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// Forty lower-case hexadecimal digits, the shape of a custom-field key.
    pub fn hash40(&mut self) -> String {
        let text = format!("{:016x}{:016x}{:016x}", self.bits(), self.bits(), self.bits());
        text.chars().take(40).collect()
    }

    /// A random (version 4) UUID.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xFFFF,
            a & 0xFFF,
            0x8000 | ((b >> 48) & 0x3FFF),
            b & 0xFFFF_FFFF_FFFF
        )
    }
}

/// Spreads the bits of a number; also used where an order must be stable but not meaningful.
pub fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The plain-ASCII, lower-case form of a name, for e-mail addresses and domains.
pub fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for ch in text.chars() {
        let plain = match ch {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' | 'Å' | 'Á' | 'ă' | 'ą' => "a",
            'ç' | 'č' | 'ć' | 'Ç' | 'Č' => "c",
            'é' | 'è' | 'ê' | 'ë' | 'É' | 'ę' | 'ě' | 'ễ' => "e",
            'í' | 'ì' | 'î' | 'ï' | 'ı' | 'İ' => "i",
            'ñ' | 'ń' => "n",
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' | 'Ö' | 'Ø' | 'ő' => "o",
            'ú' | 'ù' | 'û' | 'ü' | 'Ü' | 'ů' => "u",
            'š' | 'ş' | 'Š' | 'Ş' | 'ś' => "s",
            'ž' | 'ź' | 'ż' | 'Ž' => "z",
            'ł' | 'Ł' => "l",
            'ß' => "ss",
            'ý' => "y",
            other if other.is_ascii_alphanumeric() => {
                out.push(other.to_ascii_lowercase());
                continue;
            }
            ' ' | '-' | '.' => "-",
            _ => continue,
        };
        out.push_str(plain);
    }
    out.trim_matches('-').to_owned()
}

/// A made-up person.
#[derive(Debug, Clone)]
pub struct Person {
    /// Given name; may be empty for people known by one name.
    pub first: String,
    /// Family name; may be empty.
    pub last: String,
    /// The part before the `@`, unique for the index.
    pub mailbox: String,
}

/// The person of one index.
pub fn person(rng: &mut Rng, index: u64) -> Person {
    let (first, last) = match rng.below(20) {
        0 => (rng.pick(words::FIRST_CJK), rng.pick(words::LAST_CJK)),
        1..=5 => (rng.pick(words::FIRST_ACCENTED), rng.pick(words::LAST_ACCENTED)),
        6 => (rng.pick(words::FIRST), rng.pick(words::LAST_ODD)),
        _ => (rng.pick(words::FIRST), rng.pick(words::LAST)),
    };
    let (first, last) = match rng.below(40) {
        0 => ("", last),
        1 => (first, ""),
        _ => (first, last),
    };
    let mut mailbox = slug(first);
    let family = slug(last);
    if !mailbox.is_empty() && !family.is_empty() {
        mailbox.push('.');
    }
    mailbox.push_str(&family);
    if mailbox.is_empty() {
        mailbox.push_str("contact");
    }
    mailbox.push_str(&format!("{index}"));
    Person { first: first.to_owned(), last: last.to_owned(), mailbox }
}

/// A made-up company name, unique for the index.
pub fn company(rng: &mut Rng, index: u64) -> String {
    let head = rng.pick(words::COMPANY_HEADS);
    let tail = rng.pick(words::COMPANY_TAILS);
    let form = rng.pick(words::COMPANY_FORMS);
    match rng.below(8) {
        0 => format!("{head} {tail} {index}"),
        1 => format!("{} {tail} {form} {index}", rng.pick(words::LAST_ACCENTED)),
        2 => format!("{}{} {index}", rng.pick(words::COMPANY_CJK), "株式会社"),
        3 => format!("{} & {} {index}", rng.pick(words::LAST_ODD), rng.pick(words::LAST)),
        _ => format!("{head} {tail} {form} {index}"),
    }
}

/// A telephone number as people type them: several conventions, never valid by accident.
pub fn phone(rng: &mut Rng) -> String {
    let line = rng.below(10_000);
    match rng.below(5) {
        0 => format!("+1 (555) {:03}-{line:04}", rng.below(1000)),
        1 => format!("+44 20 7946 {line:04}"),
        2 => format!("0{}-{:03} {line:04}", rng.below(90) + 10, rng.below(1000)),
        3 => format!("+81-3-{:04}-{line:04}", rng.below(10_000)),
        _ => format!("555{:03}{line:04} ext. {}", rng.below(1000), rng.below(900) + 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_index_give_the_same_person() {
        let of = |seed, index| person(&mut Rng::new(seed, "contacts", index), index).mailbox;
        assert_eq!(of(7, 12), of(7, 12));
        let distinct: std::collections::HashSet<String> = (0..500).map(|index| of(7, index)).collect();
        assert_eq!(distinct.len(), 500);
        assert_ne!(of(7, 1), of(8, 1));
    }

    #[test]
    fn shapes() {
        let mut rng = Rng::new(1, "x", 1);
        let hash = rng.hash40();
        assert!(hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let uuid = rng.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes()[14], b'4');
    }
}
