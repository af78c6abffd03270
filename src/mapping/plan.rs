//! The read plan's first half: a tree of source paths, and one pass over a record that fills a slot per path.

use super::path::{Path, Step};
use super::scan::{Key, Malformed, Scanner, scalar_text};

/// Which slot holds the raw value of a path.
pub(super) type Slot = usize;

/// All paths read from one kind of object, as a tree.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    slots: usize,
}

#[derive(Debug, Clone, Default)]
struct Node {
    slot: Option<Slot>,
    /// By length, then text, so that a look-up compares few keys.
    keys: Vec<(Box<[u8]>, usize)>,
    /// Where keys of a length begin in `keys`; one more entry than lengths.
    lengths: Vec<u16>,
    indexes: Vec<(usize, usize)>,
    choices: Vec<Choice>,
    rest: bool,
}

#[derive(Debug, Clone)]
struct Choice {
    key: Box<str>,
    value: Box<str>,
    node: usize,
}

/// What was found in one record.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// The raw value of each path; none where the record lacks it.
    pub slots: Vec<Option<&'a str>>,
    /// Keys that no path names, where the tree collects them.
    pub rest: Vec<(Key<'a>, &'a str)>,
    seen: Vec<bool>,
    merging: bool,
}

impl<'a> Found<'a> {
    /// The raw value in a slot, null counting as none.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<&'a str> {
        self.slots.get(slot).copied().flatten().filter(|raw| *raw != "null")
    }

    /// A record that is one value, in slot 0.
    pub fn one(raw: &'a str) -> Found<'a> {
        Found { slots: vec![Some(raw)], ..Found::default() }
    }

    /// Forgets the last record.
    pub fn clear(&mut self, tree: &Tree) {
        self.slots.clear();
        self.slots.resize(tree.slots, None);
        self.seen.clear();
        self.seen.resize(tree.nodes.len(), false);
        self.rest.clear();
        self.merging = false;
    }
}

impl Default for Tree {
    fn default() -> Tree {
        Tree { nodes: vec![Node::default()], slots: 0 }
    }
}

impl Tree {
    /// The slot for a path, made where it is new. A path that ends in `*` makes the tree collect.
    pub fn slot(&mut self, path: &Path) -> Slot {
        let node = self.reach(path);
        let next = self.slots;
        let Some(node) = self.nodes.get_mut(node) else { return 0 };
        if path.is_rest() {
            node.rest = true;
            return next;
        }
        match node.slot {
            Some(slot) => slot,
            None => {
                node.slot = Some(next);
                self.slots += 1;
                next
            }
        }
    }

    /// Makes a path known without a slot, so that its key is not collected as left over.
    pub fn exclude(&mut self, path: &Path) {
        self.reach(path);
    }

    /// The keys that paths name right below a path of plain keys.
    pub fn keys_at(&self, path: &Path) -> Vec<String> {
        let node = self.find(path).and_then(|node| self.nodes.get(node));
        let keys = node.map(|node| node.keys.as_slice()).unwrap_or_default();
        keys.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect()
    }

    fn reach(&mut self, path: &Path) -> usize {
        let mut at = 0;
        for step in &path.steps {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { break };
            let known = match step {
                Step::Rest => break,
                Step::Key(key) => {
                    node.keys.iter().find(|(known, _)| **known == *key.as_bytes()).map(|found| found.1)
                }
                Step::Index(index) => {
                    node.indexes.iter().find(|(known, _)| known == index).map(|found| found.1)
                }
                Step::Choice(key, value) => node
                    .choices
                    .iter()
                    .find(|c| *c.key == **key && *c.value == **value)
                    .map(|choice| choice.node),
            };
            at = match (known, step) {
                (Some(known), _) => known,
                (None, Step::Key(key)) => {
                    node.keys.push((key.as_bytes().into(), fresh));
                    node.index();
                    fresh
                }
                (None, Step::Index(index)) => {
                    node.indexes.push((*index, fresh));
                    fresh
                }
                (None, Step::Choice(key, value)) => {
                    node.choices.push(Choice {
                        key: key.as_str().into(),
                        value: value.as_str().into(),
                        node: fresh,
                    });
                    fresh
                }
                (None, Step::Rest) => break,
            };
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        at
    }

    /// The node at a path of plain keys and positions, if any path goes through it.
    fn find(&self, path: &Path) -> Option<usize> {
        let mut at = 0;
        for step in &path.steps {
            let node = self.nodes.get(at)?;
            at = match step {
                Step::Key(key) => node.child(key.as_bytes())?,
                Step::Index(index) => node.indexes.iter().find(|(known, _)| known == index)?.1,
                Step::Choice(key, value) => {
                    node.choices.iter().find(|c| *c.key == **key && *c.value == **value)?.node
                }
                Step::Rest => return None,
            };
        }
        Some(at)
    }

    /// Reads one record from where the scanner stands; `found` must have been cleared.
    #[inline]
    pub fn fill<'a>(&self, scanner: &mut Scanner<'a>, found: &mut Found<'a>) -> Result<(), Malformed> {
        self.walk(0, scanner, found)
    }

    /// Reads more JSON as if it stood in the record at a path: an object adds keys, anything else replaces.
    pub fn graft<'a>(&self, path: &Path, raw: &'a str, found: &mut Found<'a>) -> Result<(), Malformed> {
        let mut scanner = Scanner::of(raw);
        let Some(node) = self.find(path) else { return Ok(()) };
        found.merging = true;
        if scanner.peek() != Some(b'{') {
            self.forget(node, found);
        }
        self.walk(node, &mut scanner, found)?;
        scanner.end()
    }

    fn walk<'a>(&self, at: usize, scanner: &mut Scanner<'a>, found: &mut Found<'a>) -> Result<(), Malformed> {
        let start = scanner.at();
        let Some(node) = self.nodes.get(at) else { return scanner.skip() };
        match scanner.peek() {
            Some(b'{') if !node.keys.is_empty() || node.rest => self.object(node, scanner, found)?,
            Some(b'[') if !node.indexes.is_empty() || !node.choices.is_empty() => {
                self.list(node, scanner, found)?
            }
            _ => scanner.skip()?,
        }
        if let Some(slot) = node.slot.and_then(|slot| found.slots.get_mut(slot)) {
            *slot = Some(scanner.since(start));
        }
        Ok(())
    }

    fn object<'a>(
        &self,
        node: &Node,
        scanner: &mut Scanner<'a>,
        found: &mut Found<'a>,
    ) -> Result<(), Malformed> {
        scanner.enter()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(&mut first)? {
            let child =
                if key.escaped { node.child(key.text().as_bytes()) } else { node.child(key.raw.as_bytes()) };
            match child {
                Some(child) => self.enter(child, scanner, found)?,
                None if node.rest => {
                    let start = scanner.at();
                    scanner.skip()?;
                    found.rest.push((key, scanner.since(start)));
                }
                None => scanner.skip()?,
            }
        }
        Ok(())
    }

    /// Walks a child; of a key that comes twice the last one counts, whole.
    #[inline]
    fn enter<'a>(
        &self,
        child: usize,
        scanner: &mut Scanner<'a>,
        found: &mut Found<'a>,
    ) -> Result<(), Malformed> {
        let Some(node) = self.nodes.get(child) else { return scanner.skip() };
        if node.is_leaf() {
            let start = scanner.at();
            scanner.skip()?;
            if let Some(slot) = node.slot.and_then(|slot| found.slots.get_mut(slot)) {
                *slot = Some(scanner.since(start));
            }
            return Ok(());
        }
        let again = found.seen.get_mut(child).is_some_and(|seen| std::mem::replace(seen, true));
        if again && !(found.merging && scanner.peek() == Some(b'{')) {
            self.forget(child, found);
            if let Some(seen) = found.seen.get_mut(child) {
                *seen = true;
            }
        }
        self.walk(child, scanner, found)
    }

    fn list<'a>(
        &self,
        node: &Node,
        scanner: &mut Scanner<'a>,
        found: &mut Found<'a>,
    ) -> Result<(), Malformed> {
        scanner.enter()?;
        let mut first = true;
        let mut index = 0;
        while scanner.next_element(&mut first)? {
            let start = scanner.at();
            scanner.skip()?;
            let end = scanner.at();
            if let Some((_, child)) = node.indexes.iter().find(|(wanted, _)| *wanted == index) {
                scanner.rewind(start);
                self.enter(*child, scanner, found)?;
            }
            for choice in &node.choices {
                let taken = found.seen.get(choice.node).copied().unwrap_or(true);
                if !taken && matches(scanner, start, choice)? {
                    scanner.rewind(start);
                    self.walk(choice.node, scanner, found)?;
                    if let Some(seen) = found.seen.get_mut(choice.node) {
                        *seen = true;
                    }
                }
            }
            scanner.rewind(end);
            index += 1;
        }
        Ok(())
    }

    /// Empties everything at and below a node.
    fn forget(&self, at: usize, found: &mut Found<'_>) {
        let Some(node) = self.nodes.get(at) else { return };
        if let Some(slot) = node.slot.and_then(|slot| found.slots.get_mut(slot)) {
            *slot = None;
        }
        if node.rest {
            found.rest.clear();
        }
        if let Some(seen) = found.seen.get_mut(at) {
            *seen = false;
        }
        let below = node.keys.iter().map(|(_, child)| *child);
        let below = below.chain(node.indexes.iter().map(|(_, child)| *child));
        for child in below.chain(node.choices.iter().map(|choice| choice.node)) {
            self.forget(child, found);
        }
    }
}

impl Node {
    #[inline]
    fn child(&self, key: &[u8]) -> Option<usize> {
        let start = usize::from(*self.lengths.get(key.len())?);
        let end = usize::from(*self.lengths.get(key.len() + 1)?);
        self.keys.get(start..end)?.iter().find(|(known, _)| **known == *key).map(|(_, child)| *child)
    }

    fn index(&mut self) {
        self.keys.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        let longest = self.keys.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        self.lengths = (0..=longest + 1)
            .map(|length| self.keys.partition_point(|(key, _)| key.len() < length))
            .map(|start| u16::try_from(start).unwrap_or(u16::MAX))
            .collect();
    }

    #[inline]
    fn is_leaf(&self) -> bool {
        self.keys.is_empty() && self.indexes.is_empty() && self.choices.is_empty() && !self.rest
    }
}

/// Whether the element at a position is an object whose key has the wanted value.
fn matches(scanner: &mut Scanner<'_>, start: usize, choice: &Choice) -> Result<bool, Malformed> {
    scanner.rewind(start);
    if scanner.peek() != Some(b'{') {
        return Ok(false);
    }
    scanner.enter()?;
    let mut first = true;
    let mut holds = false;
    while let Some(key) = scanner.next_key(&mut first)? {
        let start = scanner.at();
        scanner.skip()?;
        if key.text() == *choice.key {
            holds = scalar_text(scanner.since(start)).is_some_and(|text| text == *choice.value);
        }
    }
    Ok(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(paths: &[&str], body: &'a str) -> (Vec<Option<&'a str>>, Vec<String>) {
        let mut tree = Tree::default();
        let slots: Vec<Slot> = paths.iter().map(|path| tree.slot(&Path::parse(path).unwrap())).collect();
        let mut found = Found::default();
        found.clear(&tree);
        let mut scanner = Scanner::of(body);
        tree.fill(&mut scanner, &mut found).unwrap();
        scanner.end().unwrap();
        let rest = found.rest.iter().map(|(key, raw)| format!("{}={raw}", key.text())).collect();
        (slots.iter().map(|slot| found.slots.get(*slot).copied().flatten()).collect(), rest)
    }

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let body = r#"{"x":[1,{"id":7}],"a":{"b":"1","c":[{"t":"p","id":1},{"t":"q","id":2},{"t":"q","id":3}]},"n":null}"#;
        let paths = ["a.b", "x[1].id", "a.c[t=q].id", "a.c[0]", "n", "missing", "a.b.deeper", "a.c"];
        let (found, _) = read(&paths, body);
        assert_eq!(
            found[..6],
            [Some("\"1\""), Some("7"), Some("2"), Some(r#"{"t":"p","id":1}"#), Some("null"), None]
        );
        assert_eq!(found[6], None);
        assert!(found[7].unwrap().starts_with("[{"));
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_whole() {
        let (found, _) = read(&["a.b", "a.c", "d"], r#"{"a":{"b":1},"d":1,"a":{"c":2},"d":null}"#);
        assert_eq!(found, [None, Some("2"), Some("null")]);
        let (found, _) = read(&["a[k=v].x"], r#"{"a":[{"k":"v","x":1}],"a":[{"k":"v","x":2}]}"#);
        assert_eq!(found, [Some("2")]);
    }

    #[test]
    fn keys_with_escapes_are_the_same_keys() {
        let (found, rest) = read(&["p.abc", "p.*"], r#"{"p":{"\u0061bc":1,"x\ty":2,"z":3}}"#);
        assert_eq!(found[0], Some("1"));
        assert_eq!(rest, ["x\ty=2", "z=3"]);
    }

    #[test]
    fn grafts_add_keys_and_replace_lists() {
        let mut tree = Tree::default();
        let slots: Vec<Slot> = ["p.a", "p.b", "l[0].id", "l[t=x].id"]
            .iter()
            .map(|path| tree.slot(&Path::parse(path).unwrap()))
            .collect();
        let mut found = Found::default();
        found.clear(&tree);
        tree.fill(&mut Scanner::of(r#"{"p":{"a":1},"l":[{"id":1,"t":"x"}]}"#), &mut found).unwrap();
        tree.graft(&Path::default(), r#"{"p":{"b":2}}"#, &mut found).unwrap();
        tree.graft(&Path::parse("l").unwrap(), r#"[{"id":5},{"id":6,"t":"x"}]"#, &mut found).unwrap();
        let values: Vec<_> = slots.iter().map(|slot| found.slots[*slot]).collect();
        assert_eq!(values, [Some("1"), Some("2"), Some("5"), Some("6")]);
        assert!(tree.graft(&Path::default(), "{", &mut found).is_err());
    }
}
