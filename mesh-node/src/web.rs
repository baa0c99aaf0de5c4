//! Downloads from web servers, on worker threads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use blocking::Task;
use bytes::Bytes;
use mesh_http::{Client, Error};

use crate::node::{Download, DownloadError, Servers};

/// An answer to a download, or why there is none.
type Answer = Result<Bytes, DownloadError>;

/// Downloads that are under way.
#[derive(Default)]
pub(crate) struct Web {
    client: Option<Client>,
    tasks: Vec<(u64, Task<Answer>)>,
}

impl Web {
    /// Begins a download.
    pub(crate) fn ask(&mut self, download: Download) {
        let Download { number, url, range, most, servers } = download;
        let client = self.client.get_or_insert_default().clone();
        let servers = match servers {
            Servers::Anywhere => mesh_http::Servers::Anywhere,
            Servers::Public => mesh_http::Servers::Public,
        };
        let get = move || match client.get(&url, range, (most, servers)) {
            Ok(bytes) => Ok(bytes),
            Err(Error::Missing) => Err(DownloadError::Missing),
            Err(Error::Failed(why)) => Err(DownloadError::Failed(why)),
        };
        self.tasks.push((number, blocking::unblock(get)));
    }

    /// The next download that has ended, and how.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<(u64, Answer)> {
        let ready = |(_, task): &mut (u64, Task<Answer>)| Pin::new(task).poll(cx);
        let mut done = self.tasks.iter_mut().map(ready).enumerate();
        let found = done.find_map(|(at, answer)| match answer {
            Poll::Ready(answer) => Some((at, answer)),
            Poll::Pending => None,
        });
        match found {
            Some((at, answer)) => Poll::Ready((self.tasks.swap_remove(at).0, answer)),
            None => Poll::Pending,
        }
    }
}
