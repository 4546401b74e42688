//! A proxy in front of a real server whose clock is wrong: only the `Date` of each answer is changed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It stops when dropped.
pub(crate) struct Skewed {
    stop: Arc<AtomicBool>,
    pub(crate) port: u16,
}

impl Drop for Skewed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _wakes_the_listener = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Skewed {
    /// In front of this port, so many seconds ahead.
    pub(crate) fn before(port: u16, seconds: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let skewed = Self { stop: Arc::default(), port: listener.local_addr().unwrap().port() };
        let stop = skewed.stop.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::spawn(move || one(client, port, seconds));
            }
        });
        skewed
    }
}

fn one(mut client: TcpStream, port: u16, seconds: i64) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    server.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let head = head(&mut client)?;
    let length: usize = value(&head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    server.write_all(head.trim_end().as_bytes()).ok()?;
    server.write_all(b"\r\nConnection: close\r\n\r\n").ok()?;
    server.write_all(&body).ok()?;
    let mut answer = self::head(&mut server)?;
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).ok()?;
    if let Some(date) = value(&answer, "date") {
        let right = chrono::DateTime::parse_from_rfc2822(&date).ok()?;
        let wrong = (right + chrono::TimeDelta::seconds(seconds)).to_rfc2822().replace("+0000", "GMT");
        answer = answer.replace(&date, &wrong);
    }
    client.write_all(answer.as_bytes()).and_then(|()| client.write_all(&rest)).ok()
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 * 1024 {
        stream.read_exact(&mut byte).ok()?;
        head.extend_from_slice(&byte);
    }
    String::from_utf8(head).ok()
}

fn value(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
