//! Where in the downstream list the next page begins, for every paging kind but keyset.

use http::{HeaderMap, header};

use crate::connector::manifest::{PageSize, Paging};
use crate::cursor::Position;
use crate::mapping::Captured;

/// One downstream page, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Window {
    /// Records asked for.
    pub size: usize,
    /// Records of the page that were delivered before.
    pub skip: usize,
    /// The CRM's token.
    pub cursor: Option<String>,
    /// The page's number.
    pub page: Option<u64>,
    /// Records before it.
    pub offset: Option<u64>,
}

/// The window to ask for at a position, when `remaining` records are still wanted.
pub fn window(paging: &Paging, at: &Position, remaining: usize) -> Window {
    let fit = |size: &PageSize| remaining.clamp(size.min as usize, size.max.max(size.min) as usize);
    match (paging, at) {
        (Paging::Cursor { .. } | Paging::NextUrl { .. }, Position::Token { at, skip, size }) if *skip > 0 => {
            Window { size: *size as usize, skip: *skip as usize, cursor: at.clone(), ..Window::default() }
        }
        (Paging::Cursor { size, .. } | Paging::NextUrl { size, .. }, Position::Token { at, .. }) => {
            Window { size: fit(size), cursor: at.clone(), ..Window::default() }
        }
        (Paging::Cursor { size, .. } | Paging::NextUrl { size, .. } | Paging::Keyset { size, .. }, _) => {
            Window { size: fit(size), ..Window::default() }
        }
        (Paging::Page { .. }, Position::Page { page, size, skip }) => {
            Window { size: *size as usize, skip: *skip as usize, page: Some(*page), ..Window::default() }
        }
        (Paging::Page { first, size, .. }, _) => {
            Window { size: fit(size), page: Some(*first), ..Window::default() }
        }
        (Paging::Offset { size, .. }, Position::Anchored { at, .. }) => {
            let before = u64::from(*at > 0);
            let size =
                (remaining.saturating_add(1)).clamp(size.min as usize, size.max.max(size.min) as usize);
            Window { size, offset: Some(at - before), ..Window::default() }
        }
        (Paging::Offset { size, .. }, at) => {
            Window { size: fit(size), offset: Some(offset_of(at)), ..Window::default() }
        }
        (Paging::Whole, at) => Window {
            size: usize::MAX,
            skip: usize::try_from(offset_of(at)).unwrap_or(usize::MAX),
            ..Window::default()
        },
    }
}

fn offset_of(at: &Position) -> u64 {
    match at {
        Position::Offset(offset) => *offset,
        _ => 0,
    }
}

/// What a downstream page turned out to be.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Records on it, good and bad.
    pub records: usize,
    /// Records taken from it, after those skipped.
    pub taken: usize,
    /// What the reply says about the next page.
    pub captured: Option<&'a Captured<'a>>,
    /// Which captures that are.
    pub next: &'a [usize],
    /// The reply's headers.
    pub headers: &'a HeaderMap,
}

/// Where the list goes on; none at its end.
pub fn advance(paging: &Paging, window: &Window, seen: &Seen<'_>) -> Option<Position> {
    let done = window.skip + seen.taken;
    let cut = done < seen.records;
    let said =
        || seen.captured.and_then(|captured| seen.next.iter().find_map(|index| captured.as_text(*index)));
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    match paging {
        Paging::Cursor { .. } | Paging::NextUrl { .. } if cut => {
            Some(Position::Token { at: window.cursor.clone(), skip: number(done), size: number(window.size) })
        }
        Paging::Cursor { .. } | Paging::NextUrl { next: Some(_), .. } => {
            let token = said().filter(|token| !token.is_empty() && Some(token) != window.cursor.as_ref())?;
            Some(Position::Token { at: Some(token), skip: 0, size: 0 })
        }
        Paging::NextUrl { next: None, .. } => {
            let url = next_link(seen.headers).filter(|url| Some(url) != window.cursor.as_ref())?;
            Some(Position::Token { at: Some(url), skip: 0, size: 0 })
        }
        Paging::Page { last, size, first } => {
            let page = window.page.unwrap_or(*first);
            let at = |page, skip| Some(Position::Page { page, size: number(window.size), skip });
            if cut {
                return at(page, number(done));
            }
            let more = match last {
                Some(_) => said().and_then(|last| last.parse::<u64>().ok()).is_some_and(|last| page < last),
                // An endpoint that heeds no page size ends with an empty page; any other with a short one.
                None if size.heeded => seen.records >= window.size,
                None => seen.records > 0,
            };
            more.then(|| at(page + 1, 0)).flatten()
        }
        Paging::Offset { more, size, .. } => {
            let next = Some(Position::Offset(window.offset.unwrap_or(0) + seen.taken as u64));
            let more = cut
                || seen.records > 0
                    && match more.as_slice() {
                        [_, ..] => matches!(said().as_deref(), Some("true" | "1")),
                        [] if size.heeded => seen.records >= window.size,
                        [] => true,
                    };
            next.filter(|_| more)
        }
        Paging::Whole => cut.then_some(Position::Offset(done as u64)),
        Paging::Keyset { .. } => None,
    }
}

/// The target of `Link: <…>; rel="next"`.
fn next_link(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let next = parameters.split(';').any(|parameter| {
                let parameter = parameter.trim().replace('"', "");
                parameter
                    .strip_prefix("rel=")
                    .is_some_and(|rel| rel.split(' ').any(|word| word.eq_ignore_ascii_case("next")))
            });
            next.then(|| target.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_link_header_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::LINK,
            HeaderValue::from_static("<https://x/1>; rel=\"prev\", <https://x/3?a=b>; rel=\"next last\""),
        );
        assert_eq!(next_link(&headers), Some("https://x/3?a=b".into()));
        headers.insert(header::LINK, HeaderValue::from_static("<https://x/1>; rel=prev"));
        assert_eq!(next_link(&headers), None);
    }

    #[test]
    fn a_cut_page_is_asked_for_again_with_its_own_size() {
        let size = PageSize { heeded: true, min: 50, max: 100 };
        let paging = Paging::Cursor { next: "next".into(), size };
        let first = window(&paging, &Position::Start, 20);
        assert_eq!((first.size, first.skip), (50, 0));
        let headers = HeaderMap::new();
        let seen = Seen { records: 50, taken: 20, captured: None, next: &[], headers: &headers };
        let next = advance(&paging, &first, &seen).unwrap();
        assert_eq!(next, Position::Token { at: None, skip: 20, size: 50 });
        let second = window(&paging, &next, 20);
        assert_eq!((second.size, second.skip), (50, 20));
        let seen = Seen { records: 50, taken: 20, captured: None, next: &[], headers: &headers };
        assert_eq!(advance(&paging, &second, &seen), Some(Position::Token { at: None, skip: 40, size: 50 }));
    }

    #[test]
    fn a_size_that_is_not_heeded_does_not_end_the_list() {
        let size = PageSize { heeded: false, min: 1, max: 100 };
        let paging = Paging::Page { first: 1, last: None, size };
        let first = window(&paging, &Position::Start, 100);
        let headers = HeaderMap::new();
        let seen = Seen { records: 15, taken: 15, captured: None, next: &[], headers: &headers };
        assert_eq!(advance(&paging, &first, &seen), Some(Position::Page { page: 2, size: 100, skip: 0 }));
        let seen = Seen { records: 0, taken: 0, captured: None, next: &[], headers: &headers };
        assert_eq!(advance(&paging, &first, &seen), None);
    }

    #[test]
    fn a_whole_list_is_cut_into_pages() {
        let paging = Paging::Whole;
        let headers = HeaderMap::new();
        let at = Position::Offset(40);
        let seen = Seen { records: 45, taken: 5, captured: None, next: &[], headers: &headers };
        assert_eq!(advance(&paging, &window(&paging, &at, 20), &seen), None);
        let seen = Seen { records: 65, taken: 20, captured: None, next: &[], headers: &headers };
        assert_eq!(advance(&paging, &window(&paging, &at, 20), &seen), Some(Position::Offset(60)));
    }
}
