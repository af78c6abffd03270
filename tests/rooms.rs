//! The architecture, held: rooms name only rooms below them, the pure floors stay pure, and each library has one room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms, from the top of the house down. A room names rooms on lower floors; neighbours and itself.
const FLOORS: [&[&str]; 12] = [
    &["main"],
    &["serve"],
    &["edge", "web"],
    &["unify", "portal", "check", "admin"],
    &["app"],
    &["access", "vault", "logs"],
    &["config", "observe", "storage", "downstream"],
    &["plan", "normalise", "envelope"],
    &["connector"],
    &["mapping", "cursor", "contract"],
    &["error"],
    &["model"],
];

/// Rooms that are pure: what they need to know of the world comes in as an argument.
const PURE: [&str; 9] =
    ["plan", "normalise", "envelope", "connector", "mapping", "cursor", "contract", "error", "model"];

/// Files of pure rooms that may open files all the same.
const MAY_READ_FILES: [&str; 2] = ["connector/load.rs", "connector/load/"];

/// What a pure room must not name, and what it stands for.
const IMPURE: [(&str, &str); 16] = [
    ("tokio", "a runtime"),
    ("reqwest", "a socket"),
    ("hyper", "a socket"),
    ("hyper_util", "a socket"),
    ("sqlx", "the database"),
    ("tracing", "logging"),
    ("rand", "randomness"),
    ("std::time::SystemTime", "the clock"),
    ("std::time::Instant", "the clock"),
    ("std::net::TcpStream", "a socket"),
    ("std::net::TcpListener", "a socket"),
    ("std::net::UdpSocket", "a socket"),
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("std::process", "the process"),
    ("std::thread", "threads"),
];

/// Calls that read the clock or randomness through a library that a pure room may otherwise use.
const IMPURE_CALLS: [(&str, &str); 9] = [
    ("Timestamp::now", "the clock"),
    ("Zoned::now", "the clock"),
    ("Utc::now", "the clock"),
    ("now_v7", "the clock and randomness"),
    ("new_v4", "randomness"),
    ("rand::fill", "randomness"),
    ("SystemRandom", "randomness"),
    ("RandomizedNonceKey", "randomness"),
    ("println!", "the terminal"),
];

/// Libraries that one room alone names (`main` starts the runtime, but speaks to none of them).
const ONE_ROOM: [(&str, &str); 4] =
    [("hyper", "edge"), ("hyper_util", "edge"), ("reqwest", "downstream"), ("sqlx", "storage")];

/// One file of `src/`.
struct Source {
    /// Its path below `src/`.
    path: String,
    /// The room it belongs to.
    room: String,
    /// Its code, without comments, texts and tests.
    code: String,
    /// Every path it names from the root of the crate or of a library, such as `crate::model::Call`.
    names: Vec<String>,
    /// The file as it is.
    whole: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let whole = fs::read_to_string(&file).unwrap();
            let room = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            let code = without_tests(&without_comments_and_texts(&whole));
            let names = names(&code).into_iter().map(|name| from_root(&path, name)).collect();
            Source { path, room, code, names, whole }
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && path.file_name().unwrap() != "tests.rs" {
            files.push(path);
        }
    }
}

/// Code with comments, string and character literals blanked, so that words in them are not taken for names.
fn without_comments_and_texts(code: &str) -> String {
    let chars: Vec<char> = code.chars().collect();
    let (mut out, mut at) = (String::new(), 0);
    let starts = |at: usize, text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    while at < chars.len() {
        let raw_hashes = if chars[at] == 'r' && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
            (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
        } else {
            None
        };
        if let Some(hashes) = raw_hashes {
            let end = format!("\"{}", "#".repeat(hashes));
            at += 2 + hashes;
            while at < chars.len() && !starts(at, &end) {
                at += 1;
            }
            at += end.len();
        } else if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < chars.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            out.push_str("\"\"");
        } else if chars[at] == '\'' && chars.get(at + 1) == Some(&'\\') {
            at += 3;
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            at += 3;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Code without its `#[cfg(test)]` items.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut out = String::new();
    while let Some(start) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..start]);
        let item = &rest[start..];
        let mut depth = 0;
        let end = item.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            let over = depth == 0 && matches!(c, '}' | ';');
            over.then_some(at + 1)
        });
        rest = &item[end.unwrap_or(item.len())..];
    }
    out.push_str(rest);
    out
}

/// A name that climbs out of its room with `super::`, from the root of the crate.
fn from_root(path: &str, name: String) -> String {
    let depth = path.trim_end_matches("/mod.rs").matches('/').count() + 1;
    let below = name.trim_start_matches("super::");
    let climbed = (name.len() - below.len()) / "super::".len();
    if climbed >= depth { format!("crate::{below}") } else { name }
}

/// All paths of two or more parts; those of a `use` tree are written out, and bare crate names in `use` too.
fn names(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find("use ") {
        let alone =
            rest[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ';' || c == '}');
        rest = &rest[start + 4..];
        if alone && let Some(end) = rest.find(';') {
            let tree: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
            spread("", &tree, &mut found);
        }
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    found.extend(
        code.split(|c: char| !is_part(c))
            .map(|path| path.trim_start_matches("::"))
            .filter(|path| path.trim_end_matches(':').contains("::"))
            .map(str::to_owned),
    );
    found
}

/// Writes out a `use` tree.
fn spread(before: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree).trim().trim_start_matches("::");
        found.push(format!("{before}{name}"));
        return;
    };
    let before = format!("{before}{}", &tree[..open]);
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spread(&before, &inner[start..at], found);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        spread(&before, &inner[start..], found);
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Whether a name is that of an item or of something within it.
fn is_within(name: &str, item: &str) -> bool {
    name.strip_prefix(item).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The arrows that go up, of a file in that room.
fn arrows_up(room: &str, names: &[String]) -> Vec<String> {
    let Some(here) = floor(room) else { return Vec::new() };
    let named = names.iter().filter_map(|name| {
        let below = name.strip_prefix("crate::").or_else(|| name.strip_prefix("crosswalk::"))?;
        Some((name, below.split("::").next()?))
    });
    named
        .filter(|(_, other)| floor(other).is_some_and(|there| there < here))
        .map(|(name, _)| name.clone())
        .collect()
}

/// What a file of a pure room names and must not.
fn impurities(path: &str, code: &str, names: &[String]) -> Vec<String> {
    let may_read = MAY_READ_FILES.iter().any(|file| path.starts_with(file));
    let items = IMPURE.iter().filter(|(item, _)| !(may_read && *item == "std::fs"));
    let mut found: Vec<String> = items
        .filter(|(item, _)| names.iter().any(|name| is_within(name, item)))
        .map(|(item, what)| format!("{item} ({what})"))
        .collect();
    let calls = IMPURE_CALLS.iter().filter(|(call, _)| code.contains(call));
    found.extend(calls.map(|(call, what)| format!("{call} ({what})")));
    found
}

#[test]
fn arrows_go_down_only() {
    let up: Vec<String> = sources()
        .iter()
        .flat_map(|source| {
            let up = arrows_up(&source.room, &source.names);
            up.into_iter().map(|name| format!("src/{} names {name}", source.path)).collect::<Vec<_>>()
        })
        .collect();
    assert!(up.is_empty(), "rooms that name a room above them:\n{}", up.join("\n"));
}

#[test]
fn every_room_is_on_a_floor() {
    let homeless: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.room != "lib" && floor(&source.room).is_none())
        .map(|source| source.path)
        .collect();
    assert!(homeless.is_empty(), "rooms missing from FLOORS: {homeless:?}");
}

#[test]
fn pure_floors_are_pure() {
    let impure: Vec<String> = sources()
        .iter()
        .filter(|source| PURE.contains(&source.room.as_str()))
        .map(|source| (source, impurities(&source.path, &source.code, &source.names)))
        .filter(|(_, found)| !found.is_empty())
        .map(|(source, found)| format!("src/{}: {}", source.path, found.join(", ")))
        .collect();
    assert!(impure.is_empty(), "pure rooms that know of the world:\n{}", impure.join("\n"));
}

#[test]
fn each_library_has_one_room() {
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for (library, room) in ONE_ROOM {
            if source.room != room && source.names.iter().any(|name| is_within(name, library)) {
                users.entry(library).or_default().push(source.path.clone());
            }
        }
    }
    assert!(users.is_empty(), "libraries named outside their room: {users:?}");
}

#[test]
fn every_room_has_a_door_that_says_what_it_is() {
    let mute: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.path.ends_with("mod.rs") && !source.whole.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(mute.is_empty(), "rooms whose mod.rs does not open with `//! `: {mute:?}");
}

#[test]
fn planted_faults_are_found() {
    let code = without_tests(&without_comments_and_texts(
        r##"
        //! crate::edge in a comment is no arrow
        use crate::{edge::{self, Body as B}, model::Call};
        use std::{fs, time::{Duration, Instant}};
        use ::tokio;
        const TEXT: &str = "crate::vault, \" std::env"; const RAW: &str = r#"crate::web " std::process"#;
        const QUOTE: char = '"'; const ESCAPED: char = '\'';
        fn f<'a>(x: &'a str) { crate::unify::call(x); jiff::Timestamp::now(); /* crate::check::x */ }
        #[cfg(test)]
        mod tests { use crate::access::Key; fn g() { if true { crate::logs::x() } } }
        fn h() { crate::storage::open() }
        "##,
    ));
    let names = names(&code);
    let mut up = arrows_up("plan", &names);
    up.sort();
    up.dedup();
    assert_eq!(up, ["crate::edge::Body", "crate::edge::self", "crate::storage::open", "crate::unify::call"]);
    assert!(arrows_up("main", &names).is_empty());
    let found = impurities("plan/mod.rs", &code, &names);
    assert_eq!(
        found,
        [
            "tokio (a runtime)",
            "std::time::Instant (the clock)",
            "std::fs (files)",
            "Timestamp::now (the clock)"
        ]
    );
    assert_eq!(from_root("plan/sign.rs", "super::super::edge::x".to_owned()), "crate::edge::x");
    assert_eq!(from_root("plan/mod.rs", "super::edge::x".to_owned()), "crate::edge::x");
    assert_eq!(from_root("plan/sign.rs", "super::body::x".to_owned()), "super::body::x");
    let loading = impurities("connector/load.rs", "", &["std::fs::read".to_owned()]);
    assert!(loading.is_empty());
    assert_eq!(impurities("connector/manifest.rs", "", &["std::fs::read".to_owned()]), ["std::fs (files)"]);
}
