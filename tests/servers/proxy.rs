//! A tap on the way to a server on loopback: it forwards plain HTTP, one request per connection, until it is told to misbehave once.
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of this")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is forwarded and acted on; the answer is dropped.
    LostAnswer,
    /// The connection closes before anything is forwarded.
    HangUp,
    /// It is answered with this status and not forwarded. The body repeats the whole request, token and value included.
    Status(u16),
    /// The connection closes at once; the request is forwarded when [`Tap::release`] is called.
    Late,
    /// Nothing is forwarded and nothing answered until the caller is gone: the moment to kill it before its call.
    FrozenBefore,
    /// It is forwarded and acted on, and not answered until the caller is gone: the moment to kill it after its call.
    FrozenAfter,
}

/// Which requests count.
pub(crate) type Counts = fn(&str) -> bool;

struct Armed {
    fault: Fault,
    /// How many requests that count go through before.
    before: usize,
    counts: Counts,
}

#[derive(Default)]
struct State {
    armed: Option<Armed>,
    fired: usize,
    heads: Vec<String>,
    held: usize,
    released: bool,
    landed: Vec<u16>,
}

struct Shared {
    upstream: u16,
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

/// The tap; it closes when dropped.
pub(crate) struct Tap {
    shared: Arc<Shared>,
    /// Where it listens on loopback.
    pub(crate) port: u16,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _wakes_the_listener = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Tap {
    /// A tap before a server on loopback.
    ///
    /// # Panics
    /// When loopback has no port.
    pub(crate) fn before(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|e| panic!("no port for a tap: {e}"));
        let port = listener.local_addr().unwrap_or_else(|e| panic!("no address of a tap: {e}")).port();
        let shared =
            Arc::new(Shared { upstream, state: Mutex::new(State::default()), changed: Condvar::new(), stop: AtomicBool::new(false) });
        let ours = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ours.stop.load(Ordering::SeqCst) {
                    return;
                }
                let ours = ours.clone();
                std::thread::spawn(move || serve(&ours, client));
            }
        });
        Self { shared, port }
    }

    /// The `nth` request from now on (counted from 1) for which `counts` says yes of its head meets this fault. One fault at a time.
    pub(crate) fn arm(&self, fault: Fault, nth: usize, counts: Counts) {
        let mut state = self.state();
        *state = State { armed: Some(Armed { fault, before: nth.saturating_sub(1), counts }), ..State::default() };
    }

    /// From now on everything is forwarded.
    pub(crate) fn disarm(&self) {
        self.state().armed = None;
    }

    /// Whether the fault has happened since it was armed.
    pub(crate) fn fired(&self) -> bool {
        self.state().fired > 0
    }

    /// First lines of the requests since it was armed.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.state().heads.iter().filter_map(|h| h.lines().next().map(str::to_owned)).collect()
    }

    /// Lets a late request go on its way, and gives back the status that the server gave it.
    ///
    /// # Panics
    /// When none is held, or the server does not answer within ten seconds.
    pub(crate) fn release(&self) -> u16 {
        let mut state = self.state();
        assert!(state.held > 0, "no late request is held");
        state.released = true;
        self.shared.changed.notify_all();
        for _ in 0..100 {
            if let Some(status) = state.landed.first() {
                return *status;
            }
            state = self.shared.changed.wait_timeout(state, Duration::from_millis(100)).map_or_else(|e| e.into_inner().0, |(s, _)| s);
        }
        panic!("the late request was not answered within ten seconds");
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn serve(shared: &Shared, mut client: TcpStream) {
    let _a_hung_client_ends = client.set_read_timeout(Some(Duration::from_secs(30)));
    let Some((head, body)) = request(&mut client) else { return };
    let fault = {
        let mut state = shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.heads.push(head.clone());
        let hit = match &mut state.armed {
            Some(armed) if (armed.counts)(&head) => {
                if armed.before == 0 {
                    true
                } else {
                    armed.before -= 1;
                    false
                }
            }
            Some(_) | None => false,
        };
        let fault = if hit { state.armed.take().map(|a| a.fault) } else { None };
        // A frozen call has fired when it is where it shall be frozen.
        state.fired += usize::from(fault.is_some_and(|f| !matches!(f, Fault::FrozenBefore | Fault::FrozenAfter)));
        state.held += usize::from(fault == Some(Fault::Late));
        fault
    };
    match fault {
        None => {
            let answer = forward(shared.upstream, &head, &body);
            let _the_client_may_be_gone = client.write_all(&answer);
        }
        Some(Fault::LostAnswer) => {
            forward(shared.upstream, &head, &body);
        }
        Some(Fault::HangUp) => {}
        Some(frozen @ (Fault::FrozenBefore | Fault::FrozenAfter)) => {
            if frozen == Fault::FrozenAfter {
                forward(shared.upstream, &head, &body);
            }
            shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fired += 1;
            let _gone_or_half_a_minute_is_over = client.read(&mut [0u8; 1]);
        }
        Some(Fault::Status(status)) => {
            let said = String::from_utf8_lossy(&[head.as_bytes(), body.as_slice()].concat()).into_owned();
            let said = serde_json::json!({ "errors": [said], "__type": "Planted", "message": said }).to_string();
            let head = format!("HTTP/1.1 {status} Planted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", said.len());
            let _the_client_may_be_gone = client.write_all(format!("{head}connection: close\r\n\r\n{said}").as_bytes());
        }
        Some(Fault::Late) => {
            let _closed_already = client.shutdown(Shutdown::Both);
            drop(client);
            let mut state = shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            while !state.released && !shared.stop.load(Ordering::SeqCst) {
                state = shared.changed.wait_timeout(state, Duration::from_millis(100)).map_or_else(|e| e.into_inner().0, |(s, _)| s);
            }
            drop(state);
            let answer = forward(shared.upstream, &head, &body);
            let status = std::str::from_utf8(&answer).ok().and_then(|a| a.get(9..12)?.parse().ok()).unwrap_or(0);
            shared.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).landed.push(status);
            shared.changed.notify_all();
            return;
        }
    }
    let _closed_already = client.shutdown(Shutdown::Both);
}

/// One request: its head with the empty line, and its body by `content-length`.
pub(crate) fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0u8; 8192];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        let n = client.read(&mut piece).ok().filter(|n| *n > 0 && bytes.len() < 1 << 20)?;
        bytes.extend_from_slice(piece.get(..n)?);
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).ok()?;
    let length: usize = header(&head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    while body.len() < length {
        let n = client.read(&mut piece).ok().filter(|n| *n > 0)?;
        body.extend_from_slice(piece.get(..n)?);
    }
    Some((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|l| l.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()))
}

/// The whole answer of the server, which is asked to close after it.
fn forward(upstream: u16, head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", upstream)) else { return answer };
    let _a_hung_server_ends = server.set_read_timeout(Some(Duration::from_secs(30)));
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").filter(|l| !l.to_ascii_lowercase().starts_with("connection:")).collect();
    lines.push("connection: close");
    let sent = server.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).and_then(|()| server.write_all(body));
    if sent.is_ok() {
        let _what_came_counts = server.read_to_end(&mut answer);
    }
    answer
}
