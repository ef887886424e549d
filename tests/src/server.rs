//! Listening sockets with one thread for each connection, that can be closed and opened again on
//! the same port.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use socket2::{Domain, Socket, Type};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A port of the loopback address that stays ours: a socket that is bound to it and never
/// listens, so that nobody else is given the port while the server is down.
#[derive(Debug)]
pub(crate) struct Port {
    addr: SocketAddr,
    _bound: Socket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let bound = bound_socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let addr = bound
            .local_addr()
            .ok()
            .and_then(|addr| addr.as_socket())
            .expect("a bound socket has an address");
        Self {
            addr,
            _bound: bound,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens on the port; each connection gets a thread that runs `handle`.
    pub(crate) fn serve(&self, handle: impl Fn(TcpStream) + Send + Sync + 'static) -> Listener {
        let socket = bound_socket(self.addr);
        socket
            .listen(BACKLOG)
            .expect("listening on a reserved port");
        Listener::spawn(self.addr, socket.into(), Arc::new(handle))
    }
}

fn bound_socket(addr: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    socket.set_reuse_port(true).expect("SO_REUSEPORT");
    socket.bind(&addr.into()).expect("binding a loopback port");
    socket
}

/// A running server; dropping it closes the port and every connection.
#[derive(Debug)]
pub(crate) struct Listener {
    addr: SocketAddr,
    stopping: Arc<AtomicBool>,
    open: Arc<Mutex<HashMap<u64, TcpStream>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    fn spawn(
        addr: SocketAddr,
        listener: TcpListener,
        handle: Arc<dyn Fn(TcpStream) + Send + Sync>,
    ) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let open: Arc<Mutex<HashMap<u64, TcpStream>>> = Arc::default();
        let accepting = thread::spawn({
            let (stopping, open) = (Arc::clone(&stopping), Arc::clone(&open));
            move || {
                for (number, stream) in (0_u64..).zip(listener.incoming()) {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let Ok(twin) = stream.try_clone() else {
                        continue;
                    };
                    open.lock().expect("no panic").insert(number, twin);
                    let (handle, open) = (Arc::clone(&handle), Arc::clone(&open));
                    thread::spawn(move || {
                        let _closing = Closing { number, open };
                        handle(stream);
                    });
                }
            }
        });
        Self {
            addr,
            stopping,
            open,
            accepting: Some(accepting),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it has to stop.
        let _ = TcpStream::connect(self.addr);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        if let Ok(open) = self.open.lock() {
            for stream in open.values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// Forgets a connection when its thread ends, panic or not.
struct Closing {
    number: u64,
    open: Arc<Mutex<HashMap<u64, TcpStream>>>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let Ok(mut open) = self.open.lock() {
            open.remove(&self.number);
        }
    }
}
