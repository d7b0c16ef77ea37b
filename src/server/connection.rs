//! One connection's stream: its events, its deadlines, its end.

pub mod connections;
pub mod deadlines;
pub mod ending;

use std::net::IpAddr;
use std::rc::Rc;

use crate::state::{
    ComponentId, ConnectionId, JobId, Moment, Origin, Output, SessionClient, SessionId, Wire,
};
use crate::store::StoreError;
use crate::stream::{Event, Framing, Right, Stream, TlsFacts};
use crate::xml::Element;

use super::login::attempts::Trying;
use super::route::entrance;
use super::session::resumption;
use super::{Port, Server, Step};

/// How much of one input is taken at a time, in elements that cost about as much as a message; what is left comes again.
/// Others get their turn in between, and what was answered so far counts.
const PIECE_WEIGHT_MAX: usize = 64;
/// What the server answers itself, or tells many, may cost as much as many messages do.
const WEIGHT_OF_WORK: usize = PIECE_WEIGHT_MAX;
/// A piece ends when so much was queued by it.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// A connection and what is known of it.
pub struct Connection {
    pub stream: Stream,
    pub address: IpAddr,
    pub session: Option<SessionId>,
    pub component: Option<ComponentId>,
    /// A digest of the account that it wants to log in to.
    pub account: u64,
    /// Work that its login waits for.
    pub job: Option<JobId>,
    /// Of a client that has logged in and bound nothing yet.
    pub client: SessionClient,
    /// It tries a password.
    pub trying: Trying,
    /// By what it has logged in, as long as nobody took that away.
    pub right: Option<Right>,
    pub opened_ms: u64,
    pub last_input_ms: u64,
    /// A probe was sent and nothing came since.
    pub probed: bool,
    /// When its deadlines are looked at.
    pub watched_ms: u64,
}

impl Connection {
    /// Where what it is sent goes.
    pub fn wire(&self, connection: ConnectionId) -> Wire {
        let framing = self.stream.framing();
        Wire {
            connection,
            framing,
        }
    }

    /// Who is there, once that is proved and stanzas pass.
    pub fn peer(&self) -> Option<Origin> {
        let component = self.component.map(Origin::Component);
        self.session.map(Origin::Session).or(component)
    }
}

impl Server {
    pub(super) fn opened(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        address: IpAddr,
        (port, framing): (Port, Framing),
    ) {
        if self.shutting_down {
            step.out.push(Output::Close { connection: id });
            return;
        }
        let settings = Rc::clone(&self.stream_settings);
        let stream = match port {
            Port::Clients => Stream::new(settings, false),
            Port::ClientsTls => Stream::new(settings, true),
            Port::Components => Stream::of_component(settings),
        };
        let connection = Connection {
            stream: stream.framed(framing),
            address,
            session: None,
            component: None,
            account: 0,
            job: None,
            client: SessionClient::default(),
            trying: Trying::default(),
            right: None,
            opened_ms: step.now.monotonic_ms,
            last_input_ms: step.now.monotonic_ms,
            probed: false,
            watched_ms: 0,
        };
        self.connections.insert(id, connection);
        let deadline = self.negotiation_deadline(step.now.monotonic_ms, step.now.monotonic_ms);
        self.watch(id, deadline);
    }

    pub(super) fn secured(&mut self, id: ConnectionId, facts: TlsFacts) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.secured(facts);
        }
    }

    pub(super) fn handshake_done(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
    ) -> Result<(), StoreError> {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stream.handshake_done();
        }
        self.poll(step, id, &[])
    }

    pub(super) fn bytes(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.is_alive(step.now, id);
        self.poll(step, id, bytes)
    }

    pub(super) fn is_alive(&mut self, now: Moment, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.last_input_ms = now.monotonic_ms;
            connection.probed = false;
            if let Some(component) = connection.component {
                self.older_lives(component);
            }
        }
    }

    /// Lets the stream go on until it has nothing more to say, or a piece of its input was taken.
    pub(super) fn poll(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        mut input: &[u8],
    ) -> Result<(), StoreError> {
        let queued = step.out.queued_bytes;
        let mut weight = 0;
        while let Some(connection) = self.connections.get_mut(&id) {
            if weight >= PIECE_WEIGHT_MAX || step.out.queued_bytes - queued >= PIECE_BYTES_MAX {
                step.out.unfinished.push((id, input.len()));
                return Ok(());
            }
            let start = step.out.bytes.len();
            let event =
                connection
                    .stream
                    .poll(&mut input, self.entropy.as_mut(), &mut step.out.bytes);
            let wire = connection.wire(id);
            step.out.send_range(wire, start..step.out.bytes.len());
            let Some(event) = event else {
                return Ok(());
            };
            weight += weight_of(&event);
            let starts_tls = matches!(event, Event::StartTls);
            self.event(step, id, event)?;
            if starts_tls {
                // RFC 6120 §5.3.5: nothing that came before the handshake may count after it, so that none is left over.
                (input, weight) = (&[], 0);
            }
            self.end_streams(step)?;
        }
        Ok(())
    }

    fn event(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        event: Event,
    ) -> Result<(), StoreError> {
        match event {
            Event::StartTls => step.out.push(Output::StartTls { connection: id }),
            Event::Bind { account, resource } => {
                self.bind(step, id, &account, resource.as_deref())?
            }
            Event::Stanza(element) => {
                step.out.stanzas += 1;
                self.stanza(step, id, element)?;
            }
            Event::Resume {
                account,
                id: name,
                h,
            } => self.resume_requested(step, id, &account, (&name, h))?,
            Event::Nonza(element) => self.nonza(step, id, &element)?,
            Event::Handshake {
                component,
                stream_id,
                proof,
            } => self.component_proves(step, id, &component, (&stream_id, &proof))?,
            Event::Whitespace => {}
            Event::Closed(error) => self.stream_closed(step, id, error)?,
            login => self.login_event(step, id, login)?,
        }
        Ok(())
    }

    fn stanza(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
        element: Element,
    ) -> Result<(), StoreError> {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let lang = connection.stream.lang();
        if let Some(component) = connection.component {
            let mut cx = self.cx(step);
            if let Err(error) = entrance::from_component(&mut cx, component, element, lang) {
                self.state.effects.ending.push((id, error));
            }
            return Ok(());
        }
        let Some(session) = connection.session else {
            return Ok(());
        };
        self.state.handling = Some(session);
        let mut cx = self.cx(step);
        if let Err(error) = entrance::from_session(&mut cx, session, element, lang) {
            self.state.effects.ending.push((id, error));
        }
        self.state.handling = None;
        let Some(known) = self.state.sessions.get_mut(session) else {
            return Ok(());
        };
        if let Some(management) = &mut known.management {
            management.received = management.received.wrapping_add(1);
        }
        match known.stored {
            Some(stored) if stored.has_row => self.cx(step).forget_row(session),
            _ => Ok(()),
        }
    }

    pub(super) fn drained(
        &mut self,
        step: &mut Step<'_>,
        id: ConnectionId,
    ) -> Result<(), StoreError> {
        match self
            .connections
            .get(&id)
            .and_then(|connection| connection.session)
        {
            Some(session) => resumption::drained(&mut self.cx(step), session),
            None => Ok(()),
        }
    }
}

fn weight_of(event: &Event) -> usize {
    match event {
        Event::Stanza(element) if element.root().name() == "message" => 1,
        Event::Whitespace => 1,
        Event::Nonza(_) => 8,
        _ => WEIGHT_OF_WORK,
    }
}
