//! An S3 server, and what is in a bucket of it, seen by itself: requests are made here by hand, and moto checks no signature.

use crate::servers::{Server, free_port, http_status, install};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// One request at a time: what moto checks before it writes is then what it writes over.
const PROGRAM: &str = "
import sys
from werkzeug.serving import run_simple
from moto.server import DomainDispatcherApplication, create_backend_app
run_simple('127.0.0.1', int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
";

pub(crate) struct Bucket {
    server: Server,
}

impl Bucket {
    /// A server with one empty bucket, `state-bucket`.
    pub(crate) fn new(dir: &Path) -> Self {
        let port = free_port();
        let python = install("moto").with_file_name("python");
        let mut command = Command::new(python);
        command.args(["-c", PROGRAM, &port.to_string()]);
        let server = Server::start(&mut command, dir, "moto", port, || http_status(port, "/moto-api/").is_some());
        let bucket = Self { server };
        assert_eq!(bucket.call("PUT", "/state-bucket").0, 200);
        bucket
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port)
    }

    /// Every key.
    pub(crate) fn keys(&self) -> Vec<String> {
        let (status, text) = self.call("GET", "/state-bucket?list-type=2&max-keys=1000");
        assert_eq!(status, 200, "{text}");
        text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).map(str::to_owned).collect()
    }

    /// The text of an object.
    pub(crate) fn text(&self, key: &str) -> String {
        let (status, text) = self.call("GET", &format!("/state-bucket/{key}"));
        assert_eq!(status, 200, "{key}: {text}");
        text
    }

    fn call(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let login = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {login}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
        (status, answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default())
    }
}
