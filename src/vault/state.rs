//! The life of a connection as one table: event × state → state.

use crate::model::ConnectionState;

/// What can happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is set up.
    Added,
    /// The CRM granted credentials, or the consumer entered them.
    Authorized,
    /// All required settings are there.
    Completed,
    /// A required setting is missing.
    Lacking,
    /// The CRM no longer accepts the credentials.
    Refused,
    /// The credentials were given up.
    Revoked,
    /// It is deleted.
    Deleted,
}

use ConnectionState::{Added, Authorized, Available, Callable, Invalid};

/// All transitions: for each event what becomes of `available`, `added`, `authorized`, `callable`, `invalid`; none where the
/// event cannot happen.
#[rustfmt::skip]
const TABLE: [(Event, [Option<ConnectionState>; 5]); 7] = [
    //                  available         added             authorized        callable          invalid
    (Event::Added,      [Some(Added),      Some(Added),      Some(Authorized), Some(Callable),   Some(Invalid)]),
    (Event::Authorized, [Some(Authorized), Some(Authorized), Some(Authorized), Some(Callable),   Some(Authorized)]),
    (Event::Completed,  [None,             Some(Added),      Some(Callable),   Some(Callable),   Some(Invalid)]),
    (Event::Lacking,    [None,             Some(Added),      Some(Authorized), Some(Authorized), Some(Invalid)]),
    (Event::Refused,    [None,             None,             Some(Invalid),    Some(Invalid),    Some(Invalid)]),
    (Event::Revoked,    [None,             Some(Added),      Some(Added),      Some(Added),      Some(Added)]),
    (Event::Deleted,    [None,             Some(Available),  Some(Available),  Some(Available),  Some(Available)]),
];

/// The state after an event; none where it cannot happen in that state.
pub fn next(state: ConnectionState, event: Event) -> Option<ConnectionState> {
    let (_, row) = TABLE.iter().find(|(known, _)| *known == event)?;
    row.get(state as usize).copied().flatten()
}

/// The state after several events; one that cannot happen changes nothing.
pub fn after(state: ConnectionState, events: &[Event]) -> ConnectionState {
    events.iter().fold(state, |state, event| next(state, *event).unwrap_or(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [ConnectionState; 5] = [Available, Added, Authorized, Callable, Invalid];
    const EVENTS: [Event; 7] = [
        Event::Added,
        Event::Authorized,
        Event::Completed,
        Event::Lacking,
        Event::Refused,
        Event::Revoked,
        Event::Deleted,
    ];

    /// Every transition, written out a second time as sentences.
    const SENTENCES: &str = "
        available: Added added, Authorized authorized, Completed -, Lacking -, Refused -, Revoked -, Deleted -
        added: Added added, Authorized authorized, Completed added, Lacking added, Refused -, Revoked added, Deleted available
        authorized: Added authorized, Authorized authorized, Completed callable, Lacking authorized, Refused invalid, Revoked added, Deleted available
        callable: Added callable, Authorized callable, Completed callable, Lacking authorized, Refused invalid, Revoked added, Deleted available
        invalid: Added invalid, Authorized authorized, Completed invalid, Lacking invalid, Refused invalid, Revoked added, Deleted available
    ";

    #[test]
    fn every_transition_is_the_one_meant() {
        let mut seen = 0;
        for line in SENTENCES.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (from, cells) = line.split_once(": ").unwrap();
            let from = *STATES.iter().find(|state| format!("{state:?}").to_lowercase() == from).unwrap();
            for cell in cells.split(", ") {
                let (event, to) = cell.split_once(' ').unwrap();
                let event = *EVENTS.iter().find(|known| format!("{known:?}") == event).unwrap();
                let name =
                    next(from, event).map_or("-".to_owned(), |state| format!("{state:?}").to_lowercase());
                assert_eq!(name, to, "{from:?} {event:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, STATES.len() * EVENTS.len());
    }

    #[test]
    fn a_life() {
        assert_eq!(after(Available, &[Event::Added, Event::Lacking]), Added);
        assert_eq!(after(Added, &[Event::Authorized, Event::Lacking]), Authorized);
        assert_eq!(after(Authorized, &[Event::Completed]), Callable);
        assert_eq!(after(Callable, &[Event::Refused]), Invalid);
        assert_eq!(after(Invalid, &[Event::Completed]), Invalid, "settings bring no credentials");
        assert_eq!(after(Invalid, &[Event::Authorized, Event::Completed]), Callable);
    }
}
