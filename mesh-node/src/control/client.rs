//! The asking end of the control socket. Blocking: a command has nothing else to do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Answer, REQUEST_BYTES, Request};
use crate::error::{Error, ErrorKind};
use crate::home;

/// The lines of an answer.
pub struct Answers {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
    deadline: Option<Instant>,
    home: PathBuf,
}

/// Bytes of a line: no answer comes near, whatever the node follows.
const ANSWER_BYTES: u64 = 64 << 20;

/// Asks the node that lives in `home`. [`ErrorKind::NoNode`] if none is running there.
pub fn ask(home: &Path, request: &Request) -> Result<Answers, Error> {
    let mut line = serde_json::to_vec(request).map_err(|error| {
        // Of all there is in a request, only a path can lack a JSON form.
        Error::new(ErrorKind::Usage, format!("{error}: rename it to something in UTF-8"))
    })?;
    line.push(b'\n');
    if line.len() > REQUEST_BYTES {
        let why = format!(
            "the request has {} bytes, at most {REQUEST_BYTES} are taken: ask for less at a time",
            line.len()
        );
        return Err(Error::new(ErrorKind::Usage, why));
    }
    let path = home::control(home);
    let mut stream = UnixStream::connect(&path).map_err(|error| unreachable(home, &error))?;
    // A node that takes no more requests has said so and closed: the answer tells.
    let _ = stream.write_all(&line);
    let stream = BufReader::new(stream);
    Ok(Answers { stream, line: Vec::new(), deadline: None, home: home.to_owned() })
}

fn unreachable(home: &Path, error: &io::Error) -> Error {
    let (kind, home) = (error.kind(), home.display());
    if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
        let why = format!("no node is running in {home}: start one with `mesh up`");
        return Error::new(ErrorKind::NoNode, why);
    }
    if kind == io::ErrorKind::PermissionDenied {
        let why = format!("{home} belongs to another user: ask as that user, or choose --home");
        return Error::new(ErrorKind::Permission, why);
    }
    Error::new(ErrorKind::Failed, format!("cannot ask the node in {home}: {error}"))
}

impl Answers {
    /// From `deadline` on, [`Answers::next`] is [`ErrorKind::Pending`] instead of waiting.
    pub fn until(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// The next line, or `None` after the last. Waits for it.
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Answer>, Error> {
        self.read_line()?;
        let answer = serde_json::from_slice(&self.line).map_err(|error| {
            let why = format!(
                "the node in {} answered what this program does not understand ({error}): \
                 they are of different versions, so stop the node and start it again",
                self.home.display()
            );
            Error::new(ErrorKind::Failed, why)
        });
        self.line.clear();
        let answer = answer?;
        if let Answer::Error(error) = answer {
            return Err(error);
        }
        Ok((answer != Answer::Done).then_some(answer))
    }

    fn read_line(&mut self) -> Result<(), Error> {
        loop {
            let wait = self.deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if wait == Some(Duration::ZERO) {
                return Err(pending());
            }
            let timeout = self.stream.get_ref().set_read_timeout(wait);
            let room = ANSWER_BYTES.saturating_sub(self.line.len() as u64);
            let mut limited = (&mut self.stream).take(room);
            match timeout.and_then(|()| limited.read_until(b'\n', &mut self.line)) {
                Ok(_) if self.line.ends_with(b"\n") => return Ok(()),
                Ok(_) => {
                    let home = self.home.display();
                    let why = format!("the node in {home} stopped before it had answered");
                    return Err(Error::new(ErrorKind::NoNode, why));
                }
                // What has been read of the line stays in it.
                Err(error) if is_timeout(&error) => return Err(pending()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreachable(&self.home, &error)),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn pending() -> Error {
    Error::new(ErrorKind::Pending, "the time ran out")
}
