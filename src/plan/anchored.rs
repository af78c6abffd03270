//! Counted lists that stay exact: a page is found again by the last records delivered, wherever inserts and deletions have
//! moved them since.

use super::keyset::Row;

/// Delivered records that a cursor names; as long as one of them is there, the list goes on exactly behind it.
const ANCHORS: usize = 5;
/// Windows looked at for them at the most.
const MOST_WINDOWS: u32 = 20;

/// Where on a page the records begin that were not delivered before, and how many follow before others that were; none
/// where the page holds no record delivered last.
pub fn place(rows: &[Row], seen: &[String]) -> Option<(usize, usize)> {
    if seen.is_empty() {
        return Some((0, rows.len()));
    }
    let known = |row: &Row| row.1.as_ref().is_some_and(|id| seen.contains(id));
    let first = rows.iter().position(known)?;
    let run = rows.iter().skip(first).take_while(|row| known(row)).count();
    let begin = first + run;
    Some((begin, rows.iter().skip(begin).take_while(|row| !known(row)).count()))
}

/// The anchors after these rows have been delivered too.
pub fn after<'r>(seen: &[String], delivered: impl Iterator<Item = &'r Row>) -> Vec<String> {
    let mut all: Vec<String> = seen.to_vec();
    all.extend(delivered.filter_map(|(_, id)| id.clone()));
    let surplus = all.len().saturating_sub(ANCHORS);
    all.drain(..surplus);
    all
}

/// A search for the anchors, outwards from where they were.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search {
    low: u64,
    high: u64,
    windows: u32,
    /// Whether the list ends at `high`.
    ended: bool,
}

impl Search {
    /// A search that begins with the window `from..to`, which does not hold them.
    pub fn new(from: u64, to: u64, ended: bool) -> Search {
        Search { low: from, high: to, windows: 0, ended }
    }

    /// Notes that the window `from..to` does not hold them either.
    pub fn saw(&mut self, from: u64, to: u64, ended: bool) {
        self.low = self.low.min(from);
        if to >= self.high {
            self.high = to;
            self.ended |= ended;
        }
    }

    /// Where the next window of that size begins; none where there is nowhere left to look.
    pub fn next(&mut self, size: u64) -> Option<u64> {
        self.windows += 1;
        if self.windows > MOST_WINDOWS {
            return None;
        }
        let back = self.low > 0 && (self.windows % 2 == 1 || self.ended);
        match (back, self.ended) {
            (true, _) => Some(self.low.saturating_sub(size)),
            (false, false) => Some(self.high),
            (false, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: &[&str]) -> Vec<Row> {
        ids.iter().map(|id| (None, Some((*id).to_owned()))).collect()
    }

    fn texts(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_page_goes_on_behind_the_last_that_is_there() {
        assert_eq!(place(&rows(&["c", "d", "e"]), &texts(&["a", "b", "c"])), Some((1, 2)));
        assert_eq!(place(&rows(&["b", "d", "e"]), &texts(&["a", "b", "c"])), Some((1, 2)), "c is gone");
        assert_eq!(
            place(&rows(&["x", "c"]), &texts(&["c"])),
            Some((2, 0)),
            "inserts before it were never due"
        );
        assert_eq!(place(&rows(&["b", "d", "c", "e"]), &texts(&["b", "c"])), Some((1, 1)), "c has moved on");
        assert_eq!(place(&rows(&["x", "y"]), &texts(&["c"])), None);
        assert_eq!(place(&rows(&["x"]), &[]), Some((0, 1)));
    }

    #[test]
    fn anchors_are_the_last_that_were_delivered() {
        let seen = after(&texts(&["a", "b"]), rows(&["c", "d", "e", "f"]).iter());
        assert_eq!(seen, ["b", "c", "d", "e", "f"]);
    }

    #[test]
    fn a_search_looks_on_both_sides_and_ends() {
        let mut search = Search::new(200, 300, false);
        assert_eq!(search.next(100), Some(100));
        search.saw(100, 200, false);
        assert_eq!(search.next(100), Some(300));
        search.saw(300, 320, true);
        assert_eq!(search.next(100), Some(0));
        search.saw(0, 100, false);
        assert_eq!(search.next(100), None);
    }
}
