//! The answering end of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use async_channel::Receiver;
use async_executor::{Executor, Task};
use async_io::{Async, Timer};
use futures_lite::future::or;
use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use super::{Answer, REQUEST_BYTES, Request};
use crate::error::{Error, ErrorKind};
use crate::handle::WeakMesh;

mod get;
mod policy;
mod requests;

/// Connections answered at a time; one more is told to come later.
const CONNECTIONS: usize = 64;

/// How long a client may take to write its request.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Between two lines about the same progress, and two states of a watched node.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait before accepting again when the system had no file descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// The socket in a node's home. Only the user the node runs as may ask, whatever the modes of
/// files have become, and whoever does not read holds up nobody else.
pub struct Server {
    listener: Async<UnixListener>,
    path: PathBuf,
}

impl Server {
    /// Listens at `path`, in place of what a killed node may have left there. The caller holds the
    /// lock of the home, so no other node listens there.
    pub fn bind(path: &Path) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            let path = path.display();
            let remedy = "free it, or choose a shorter directory with --home DIR";
            Error::new(ErrorKind::Failed, format!("cannot listen at {path}: {error}: {remedy}"))
        };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = Async::<UnixListener>::bind(path).map_err(failed)?;
        let server = Self { listener, path: path.to_owned() };
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(server)
    }

    /// Answers until it is dropped. Does not keep the node running.
    pub async fn serve(self, mesh: WeakMesh) {
        let executor = Executor::new();
        executor.run(self.accept(&executor, mesh)).await;
    }

    async fn accept(&self, executor: &Executor<'static>, mesh: WeakMesh) {
        let mut open: Vec<Task<()>> = Vec::new();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    open.retain(|task| !task.is_finished());
                    match admit(stream.get_ref(), open.len()) {
                        Ok(()) => open.push(executor.spawn(converse(stream, mesh.clone()))),
                        Err(error) => refuse(stream.get_ref(), error),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the control socket");
                    Timer::after(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is left lying is removed by the next node.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the process at the other end runs as the user this one runs as.
#[cfg(target_os = "linux")]
fn is_own_user(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// Elsewhere the modes of the home (0700) and of the socket (0600) say it alone.
#[cfg(not(target_os = "linux"))]
fn is_own_user(_: &UnixStream) -> bool {
    true
}

/// Whether a client may ask while `open` others do.
fn admit(stream: &UnixStream, open: usize) -> Result<(), Error> {
    if !is_own_user(stream) {
        let why = "a node answers only the user it runs as";
        return Err(Error::new(ErrorKind::Permission, why));
    }
    if open >= CONNECTIONS {
        let why = format!("{CONNECTIONS} programs are asking this node already: try again later");
        return Err(Error::new(ErrorKind::Pending, why));
    }
    Ok(())
}

/// Says why not, without waiting: a new socket has room for a line.
fn refuse(stream: &UnixStream, error: Error) {
    if let Ok(line) = line(&Answer::Error(error)) {
        // Whoever does not want to hear it has gone.
        let _ = io::Write::write(&mut &*stream, &line);
    }
}

/// Answers the one request of a connection.
async fn converse(stream: Async<UnixStream>, mesh: WeakMesh) {
    let mut client = Client { stream: &stream };
    let outcome = match client.request().await {
        Ok(Some(request)) => {
            let waits = request.takes_time();
            let work = async { Some(requests::answer(request, &mesh, &mut client).await) };
            let gone = async {
                client_gone(&stream).await;
                None
            };
            if waits { or(work, gone).await } else { work.await }
        }
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    };
    if let Some(outcome) = outcome {
        let last = outcome.map_or_else(Answer::Error, |()| Answer::Done);
        // Whoever does not want to hear it has gone.
        let _ = client.say(&last).await;
    }
}

/// Ends when the client has closed its end.
async fn client_gone(mut stream: &Async<UnixStream>) {
    let mut surplus = [0; 64];
    while stream.read(&mut surplus).await.is_ok_and(|bytes| bytes > 0) {}
}

/// The other end of one connection.
struct Client<'a> {
    stream: &'a Async<UnixStream>,
}

impl Client<'_> {
    /// What it asks, if anything.
    async fn request(&self) -> Result<Option<Request>, Error> {
        let mut text = Vec::new();
        let mut limited = BufReader::new(self.stream.take(REQUEST_BYTES as u64));
        let read = async { limited.read_until(b'\n', &mut text).await.map_err(Error::failed) };
        let late = async {
            Timer::after(REQUEST_TIME).await;
            let why = format!("no request within {} s", REQUEST_TIME.as_secs());
            Err(Error::new(ErrorKind::Usage, why))
        };
        or(read, late).await?;
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() == REQUEST_BYTES && !text.ends_with(b"\n") {
            let why = format!("a request is one line of at most {REQUEST_BYTES} bytes");
            return Err(Error::new(ErrorKind::Usage, why));
        }
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            Error::new(ErrorKind::Usage, format!("this node knows no such request: {error}"))
        })
    }

    /// Writes a line; waits while the client does not read.
    async fn say(&mut self, answer: &Answer) -> Result<(), Error> {
        self.stream.write_all(&line(answer)?).await.map_err(Error::failed)
    }

    /// Does `work` and says from time to time what it last told by `progress`.
    async fn tell<R>(
        &mut self,
        progress: Receiver<Answer>,
        work: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        let mut work = pin!(work);
        loop {
            let told = async { Err(progress.recv().await) };
            match or(async { Ok(work.as_mut().await) }, told).await {
                Ok(done) => return done,
                // Whole lines only: the work waits until this one has left.
                Err(Ok(answer)) => self.say(&answer).await?,
                Err(Err(_)) => return work.await,
            }
            let pause = async {
                Timer::after(PAUSE).await;
                None
            };
            if let Some(done) = or(async { Some(work.as_mut().await) }, pause).await {
                return done;
            }
        }
    }
}

fn line(answer: &Answer) -> Result<Vec<u8>, Error> {
    let mut line = serde_json::to_vec(answer).map_err(Error::failed)?;
    line.push(b'\n');
    Ok(line)
}
