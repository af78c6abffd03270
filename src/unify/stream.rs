//! Lists that are streamed: page after page from the cursor on, in constant memory.
//!
//! A task of its own reads the pages; its reply holds on to it, so that it ends with the caller's connection. A page is only
//! asked for when the caller has taken the one before, so that at most one is ahead of the caller. Each page is a call of
//! its own: the connection and its credentials are looked at anew, and its time counts from its own start.
//! An end before the last page says where to go on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http::header::{CONTENT_DISPOSITION, TRAILER};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Line, rate_headers};
use crate::app::App;
use crate::envelope::{self, Ending, csv, lines};
use crate::error::{Error, Kind, Result};
use crate::mapping::Records;
use crate::model::{Answer, Body, Call, Context, Early, End, Format, Piece, ServiceId, Stream, Warning};
use crate::plan::{Data, Unified, way};
use crate::vault;

/// How long a CRM's rate limit is waited for on behalf of one page.
const RATE_WAIT_MAX: Duration = Duration::from_secs(300);
/// The first wait where the CRM does not say how long; it doubles.
const RATE_WAIT: Duration = Duration::from_secs(1);
/// General warnings that are remembered as told.
const TOLD_MAX: usize = 16;
/// The longest wait of our own choice.
const RATE_WAIT_ONCE: Duration = Duration::from_secs(30);

/// Answers a list with a stream, once its first page is there.
///
/// # Errors
/// Whatever the first page fails with.
pub(super) async fn start(app: Arc<App>, context: Context, call: Call) -> Result<Answer> {
    let form = match call.query.format {
        Format::Csv => Form::Csv(csv::Table::new(call.operation.resource, call.query.fields.as_ref())),
        Format::Json | Format::Lines => Form::Lines,
    };
    let content_type = HeaderValue::from_static(match form {
        Form::Lines => "application/x-ndjson; charset=utf-8",
        Form::Csv(_) => "text/csv; charset=utf-8",
    });
    let says_its_end = matches!(form, Form::Lines);
    let file = format!("attachment; filename=\"{}.csv\"", call.operation.resource);
    let (telling, told) = oneshot::channel();
    // Room for a page that the caller has not taken yet, and for the end.
    let (pieces, taken) = mpsc::channel(2);
    let export = Export {
        app,
        context,
        call,
        form,
        waited: Duration::ZERO,
        ending: Ending::default(),
        told: Vec::new(),
    };
    let work = AbortOnDropHandle::new(tokio::spawn(export.run(telling, pieces)));
    let begun = told.await.map_err(|_| Error::internal("an export stopped before it began"))??;
    let mut headers = begun.headers;
    headers.push((TRAILER, HeaderValue::from_static(envelope::TRAILERS)));
    if !says_its_end {
        headers.extend(HeaderValue::try_from(file).ok().map(|file| (CONTENT_DISPOSITION, file)));
    }
    let pieces = stream::unfold((taken, work), |(mut taken, work)| async {
        taken.recv().await.map(|piece| (piece, (taken, work)))
    });
    Ok(Answer {
        status: StatusCode::OK,
        body: Body::Stream(Stream { content_type, pieces: pieces.boxed(), says_its_end }),
        headers,
        downstream: begun.downstream,
        service: begun.service,
    })
}

/// What the head of the reply needs to know of the first page.
struct Begun {
    headers: Vec<(HeaderName, HeaderValue)>,
    downstream: Duration,
    service: Option<ServiceId>,
}

/// How records are written.
enum Form {
    Lines,
    Csv(csv::Table),
}

/// An export under way.
struct Export {
    app: Arc<App>,
    context: Context,
    /// The call for the page to be read next.
    call: Call,
    form: Form,
    waited: Duration,
    ending: Ending,
    /// General warnings that were told of.
    told: Vec<Warning>,
}

impl Export {
    /// Reads all pages. The first decides whether there is an ordinary error reply or a stream.
    async fn run(mut self, telling: oneshot::Sender<Result<Begun>>, pieces: mpsc::Sender<Piece>) {
        let Ok(last) = pieces.clone().reserve_owned().await else { return };
        let first = match self.page().await {
            Ok(first) => first,
            Err(error) => {
                let _ = telling.send(Err(error));
                return;
            }
        };
        let headers = rate_headers(&first);
        let begun = Begun { headers, downstream: self.waited, service: self.context.service.clone() };
        if telling.send(Ok(begun)).is_err() {
            return;
        }
        let error = self.pages(first, &pieces).await.err();
        let early = error.map(|error| {
            self.ending.error = Some(error.body(&self.context.request_id, &self.context.public_base));
            Early {
                kind: error.kind().name(),
                fault: error.whose_fault().name(),
                source: error.log_source().map(str::to_owned),
            }
        });
        if matches!(self.form, Form::Lines) {
            let Ok(place) = pieces.reserve().await else { return };
            place.send(Piece::Data(lines::end(&self.ending)));
        }
        last.send(Piece::End(End {
            trailers: envelope::trailers(&self.ending),
            records: self.ending.records,
            downstream: self.waited,
            early,
        }));
    }

    /// Sends a page and reads the next, until there is none.
    async fn pages(&mut self, first: Unified, pieces: &mpsc::Sender<Piece>) -> Result<()> {
        let mut unified = first;
        let mut head = match &self.form {
            Form::Lines => Vec::new(),
            Form::Csv(table) => table.header(),
        };
        loop {
            let Unified { data, mut warnings, .. } = unified;
            let Data::Page(page) = data else { return Err(Error::internal("a list answered with no page")) };
            let (next, records) = (page.next, page.records);
            self.told_once(&mut warnings);
            let count = records.items.len() as u64;
            let bytes = self.written(records, &warnings, std::mem::take(&mut head))?;
            if !bytes.is_empty() {
                self.place(pieces).await?.send(Piece::Data(bytes));
            }
            self.ending.records += count;
            self.ending.warnings += warnings.len() as u64;
            self.ending.cursor.clone_from(&next);
            let Some(next) = next else { return Ok(()) };
            self.call.query.cursor = Some(next);
            // Only now, with this page taken, the next one is asked for.
            drop(self.place(pieces).await?);
            unified = self.patient_page().await?;
        }
    }

    /// Waits until the caller has taken what was sent.
    ///
    /// # Errors
    /// If the gateway stops meanwhile.
    async fn place<'p>(&self, pieces: &'p mpsc::Sender<Piece>) -> Result<mpsc::Permit<'p, Piece>> {
        tokio::select! {
            biased;
            () = self.app.stopping.cancelled() => Err(stopping()),
            place = pieces.reserve() => place.map_err(|_| Error::internal("the reply is gone")),
        }
    }

    fn written(&self, records: Records, warnings: &[Warning], head: Vec<u8>) -> Result<Bytes> {
        match &self.form {
            Form::Lines => Ok(lines::page(records, warnings)),
            Form::Csv(table) => table.rows(&records, head).map_err(Error::internal),
        }
    }

    /// Leaves out what the page before has told already, such as that the CRM does not say which fields it has.
    fn told_once(&mut self, warnings: &mut Vec<Warning>) {
        warnings.retain(|warning| {
            let general = warning.record_id.is_none() && warning.kind == "DiscoveryWarning";
            let known = general && self.told.contains(warning);
            if general && !known && self.told.len() < TOLD_MAX {
                self.told.push(warning.clone());
            }
            !known
        });
    }

    /// A page, where the CRM's rate limit is waited for.
    async fn patient_page(&mut self) -> Result<Unified> {
        let began = Instant::now();
        let mut own = RATE_WAIT;
        loop {
            let error = match self.page().await {
                Err(error) if error.kind() == Kind::ConnectorRateLimitError => error,
                outcome => return outcome,
            };
            let wait = error.retry_after().unwrap_or(own);
            own = (own * 2).min(RATE_WAIT_ONCE);
            if began.elapsed() + wait > RATE_WAIT_MAX {
                return Err(error);
            }
            tokio::select! {
                biased;
                () = self.app.stopping.cancelled() => return Err(stopping()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One page: a call of its own, which may not do more harm than any other.
    async fn page(&mut self) -> Result<Unified> {
        let outcome = AssertUnwindSafe(self.read()).catch_unwind().await;
        outcome.unwrap_or_else(|_| Err(Error::internal("a panic while a page of an export was read")))
    }

    async fn read(&mut self) -> Result<Unified> {
        let mut line = Line::open(&self.app, &self.context).await?;
        line.warnings = vault::limit(&line.resolved, &mut self.call).map_err(|error| line.failure(error))?;
        // Whatever is connected meanwhile, the export goes on with what it began with.
        let service = &line.resolved.connection.service;
        self.context.service.get_or_insert_with(|| service.clone());
        if self.call.query.limit == 0 {
            let ground = line.ground(&self.call, None).map_err(|error| line.failure(error))?;
            // What cannot be listed at all is told of by the plan.
            self.call.query.limit = way::largest_page(&self.call, &ground).unwrap_or(1);
        }
        let unified = line.unified(&self.call).await;
        self.waited += line.waited;
        unified.map_err(|error| line.failure(error))
    }
}

fn stopping() -> Error {
    Error::new(Kind::ServiceUnavailableError, "The gateway is stopping; go on from the cursor.")
        .retry_after_ms(1000)
}
