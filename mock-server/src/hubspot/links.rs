//! Associations between records, kept from both sides.

use std::collections::HashMap;

use super::account::TypeIndex;

/// A kind of association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType {
    /// Whether a customer defined it.
    pub user: bool,
    /// Its number, unique among the customer's or among HubSpot's.
    pub id: u32,
}

impl LinkType {
    /// HubSpot's category name.
    pub fn category(self) -> &'static str {
        if self.user { "USER_DEFINED" } else { "HUBSPOT_DEFINED" }
    }
}

/// One record's association with another.
#[derive(Debug, Clone)]
pub struct Link {
    /// The other record.
    pub to: u64,
    /// The kinds, lowest first.
    pub types: Vec<LinkType>,
}

/// All associations of an account.
#[derive(Debug, Clone, Default)]
pub struct Links(HashMap<(TypeIndex, u64, TypeIndex), Vec<Link>>);

impl Links {
    /// One record's associations with records of one object, in id order.
    pub fn of(&self, from: (TypeIndex, u64), to: TypeIndex) -> &[Link] {
        self.0.get(&(from.0, from.1, to)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds one kind from one side.
    pub fn add_one_way(&mut self, from: (TypeIndex, u64), to: (TypeIndex, u64), kind: LinkType) {
        let links = self.0.entry((from.0, from.1, to.0)).or_default();
        match links.binary_search_by_key(&to.1, |link| link.to) {
            Ok(at) => {
                if let Some(link) = links.get_mut(at)
                    && let Err(place) = link.types.binary_search(&kind)
                {
                    link.types.insert(place, kind);
                }
            }
            Err(at) => links.insert(at, Link { to: to.1, types: vec![kind] }),
        }
    }

    /// Removes some kinds (all when none are named) from one side.
    pub fn remove_one_way(&mut self, from: (TypeIndex, u64), to: (TypeIndex, u64), kinds: &[LinkType]) {
        let Some(links) = self.0.get_mut(&(from.0, from.1, to.0)) else { return };
        if let Ok(at) = links.binary_search_by_key(&to.1, |link| link.to) {
            let empty = match links.get_mut(at) {
                Some(link) if !kinds.is_empty() => {
                    link.types.retain(|kind| !kinds.contains(kind));
                    link.types.is_empty()
                }
                _ => true,
            };
            if empty {
                links.remove(at);
            }
        }
    }
}

/// HubSpot's own kinds between two objects: the plain one, then the primary one where there is one.
/// Each line is (from, to, plain, inverse plain, primary, inverse primary).
const PAIRS: &[(&str, &str, u32, u32, u32, u32)] = &[
    ("contact", "company", 279, 280, 1, 2),
    ("contact", "deal", 4, 3, 0, 0),
    ("contact", "ticket", 15, 16, 0, 0),
    ("company", "deal", 342, 341, 6, 5),
    ("company", "ticket", 340, 339, 25, 26),
    ("deal", "ticket", 27, 28, 0, 0),
    ("contact", "contact", 449, 449, 0, 0),
    ("company", "company", 450, 450, 0, 0),
    ("deal", "deal", 451, 451, 0, 0),
    ("ticket", "ticket", 452, 452, 0, 0),
    ("company", "call", 181, 182, 0, 0),
    ("contact", "call", 193, 194, 0, 0),
    ("deal", "call", 205, 206, 0, 0),
    ("ticket", "call", 219, 220, 0, 0),
    ("company", "email", 185, 186, 0, 0),
    ("contact", "email", 197, 198, 0, 0),
    ("deal", "email", 209, 210, 0, 0),
    ("ticket", "email", 223, 224, 0, 0),
    ("company", "meeting", 187, 188, 0, 0),
    ("contact", "meeting", 199, 200, 0, 0),
    ("deal", "meeting", 211, 212, 0, 0),
    ("ticket", "meeting", 225, 226, 0, 0),
    ("company", "note", 189, 190, 0, 0),
    ("contact", "note", 201, 202, 0, 0),
    ("deal", "note", 213, 214, 0, 0),
    ("ticket", "note", 227, 228, 0, 0),
    ("company", "task", 191, 192, 0, 0),
    ("contact", "task", 203, 204, 0, 0),
    ("deal", "task", 215, 216, 0, 0),
    ("ticket", "task", 229, 230, 0, 0),
    ("lead", "contact", 578, 579, 0, 0),
    ("lead", "company", 610, 611, 0, 0),
];

/// Further kinds of HubSpot's own: (from, to, kind, its inverse, label).
const LABELLED: &[(&str, &str, u32, u32, &str)] = &[
    ("company", "company", 13, 14, "Parent to child company"),
    ("company", "company", 14, 13, "Child to parent company"),
];

/// A customer's labels, the same in every account: (from, to, kind, its inverse, label).
const LABELS: &[(&str, &str, u32, u32, &str)] = &[
    ("contact", "company", 36, 37, "Billing contact"),
    ("company", "contact", 37, 36, "Billing contact"),
    ("contact", "deal", 38, 39, "Decision maker"),
    ("deal", "contact", 39, 38, "Decision maker"),
];

fn hubspot(id: u32) -> LinkType {
    LinkType { user: false, id }
}

fn user(id: u32) -> LinkType {
    LinkType { user: true, id }
}

/// The plain kind between two objects, by singular names. Pairs with a customer's own object get a number of their own.
pub fn plain(from: (&str, TypeIndex), to: (&str, TypeIndex)) -> LinkType {
    for (a, b, ab, ba, ..) in PAIRS {
        if (*a, *b) == (from.0, to.0) {
            return hubspot(*ab);
        }
        if (*b, *a) == (from.0, to.0) {
            return hubspot(*ba);
        }
    }
    user(1000 + u32::from(from.1) * 64 + u32::from(to.1))
}

/// The primary kind between two objects and its inverse, where HubSpot has one.
pub fn primary(from: &str, to: &str) -> Option<(LinkType, LinkType)> {
    PAIRS.iter().find_map(|(a, b, _, _, ab, ba)| match *ab {
        0 => None,
        _ if (*a, *b) == (from, to) => Some((hubspot(*ab), hubspot(*ba))),
        _ if (*b, *a) == (from, to) => Some((hubspot(*ba), hubspot(*ab))),
        _ => None,
    })
}

/// The kind that the other side sees; nothing when the kind does not fit the two objects.
pub fn inverse(from: (&str, TypeIndex), to: (&str, TypeIndex), kind: LinkType) -> Option<LinkType> {
    if kind == plain(from, to) {
        return Some(plain(to, from));
    }
    if let Some((direct, back)) = primary(from.0, to.0)
        && direct == kind
    {
        return Some(back);
    }
    let table = if kind.user { LABELS } else { LABELLED };
    let (.., back, _) = table.iter().find(|(a, b, id, ..)| (*a, *b, *id) == (from.0, to.0, kind.id))?;
    Some(LinkType { user: kind.user, id: *back })
}

/// A kind's label: nothing for the plain one.
pub fn label(from: &str, to: &str, kind: LinkType) -> Option<&'static str> {
    if primary(from, to).is_some_and(|(direct, _)| direct == kind) {
        return Some("Primary");
    }
    let table = if kind.user { LABELS } else { LABELLED };
    table.iter().find(|(a, b, id, ..)| (*a, *b, *id) == (from, to, kind.id)).map(|(.., label)| *label)
}

/// A kind's name in the inline associations of a record.
pub fn name(from: &str, to: &str, kind: LinkType) -> String {
    match label(from, to, kind) {
        Some("Primary") => format!("{from}_to_{to}"),
        Some(label) => label.to_lowercase().replace(' ', "_"),
        None if primary(from, to).is_some() => format!("{from}_to_{to}_unlabeled"),
        None => format!("{from}_to_{to}"),
    }
}
