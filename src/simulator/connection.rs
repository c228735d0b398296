//! Loopback connections that can be broken on purpose, at a chosen point of the response.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Switch that breaks its connection.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionBreaker(Arc<AtomicU8>);

// States of the fuse; 0 means intact.
const BLOWN_AT_FLUSH: u8 = 1;
const BLOWN: u8 = 2;

impl ConnectionBreaker {
    /// Breaks the connection at the next write: no further byte is sent.
    pub(super) fn blow(&self) {
        self.0.store(BLOWN, Ordering::Relaxed);
    }

    /// Breaks the connection after the bytes written so far are sent.
    pub(super) fn blow_at_flush(&self) {
        self.0.fetch_max(BLOWN_AT_FLUSH, Ordering::Relaxed);
    }

    fn check(&self, blown_from: u8) -> io::Result<()> {
        let is_blown = self.0.load(Ordering::Relaxed) >= blown_from;
        if is_blown { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, FusedListener>> for ConnectionBreaker {
    fn connect_info(stream: IncomingStream<'_, FusedListener>) -> Self {
        stream.io().fuse.clone()
    }
}

/// Listener that adds a fuse to each accepted connection.
#[derive(Debug)]
pub(super) struct FusedListener(pub(super) TcpListener);

impl Listener for FusedListener {
    type Io = Fused;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Fused, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Responses are small, and clients wait for them. If this call fails, responses are only slower.
        let _ = stream.set_nodelay(true);
        (Fused { stream, fuse: ConnectionBreaker::default() }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[derive(Debug)]
pub(super) struct Fused {
    stream: TcpStream,
    fuse: ConnectionBreaker,
}

impl AsyncRead for Fused {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Fused {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.fuse.check(BLOWN)?;
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fuse.check(BLOWN)?;
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // The flush of a socket does nothing. A flush by hyper shows that all its bytes are written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fuse.check(BLOWN_AT_FLUSH)?;
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
