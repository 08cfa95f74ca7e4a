//! A service that tells the planned upgrade of a chain as nodes of the Cosmos SDK do, well or badly: over gRPC, or as JSON.
//!
//! It runs on a thread of its own and says what it was last told to say. Stopped, nobody listens there any more.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::channel::Channel;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What the service says when it is asked for the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// There is none.
    NoPlan,
    /// This one.
    Plan {
        /// Its name.
        name: String,
        /// Its height.
        height: u64,
        /// Its info.
        info: String,
    },
    /// These bytes in the place of an answer.
    Bytes(Vec<u8>),
    /// More and more bytes, without end.
    Endless,
    /// That it does not know what is meant.
    Refusal,
    /// Nothing, while the connection stays open.
    Silence,
}

impl Says {
    /// A plan.
    pub fn plan(name: &str, height: u64) -> Self {
        Says::Plan { name: name.to_owned(), height, info: String::new() }
    }
}

/// Such a service on loopback.
#[derive(Debug)]
pub struct PlanService {
    address: SocketAddr,
    speaks_grpc: bool,
    talk: Arc<Talk>,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Talk {
    says: Mutex<Says>,
    /// The height of its state, which goes with each answer, and into those about the latest block.
    height: AtomicU64,
    asked: AtomicU64,
}

impl PlanService {
    /// Answers gRPC.
    pub fn grpc() -> Self {
        Self::start_new(true)
    }

    /// Answers JSON.
    pub fn rest() -> Self {
        Self::start_new(false)
    }

    fn start_new(speaks_grpc: bool) -> Self {
        let talk = Talk { says: Mutex::new(Says::NoPlan), height: AtomicU64::new(1), asked: AtomicU64::new(0) };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut service = Self { address, speaks_grpc, talk: Arc::new(talk), server: None };
        service.start();
        service
    }

    /// Listens, at the same address as before.
    pub fn start(&mut self) {
        assert!(self.server.is_none(), "it listens already");
        let listener = crate::wait_for("the address to be free", || std::net::TcpListener::bind(self.address).ok());
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (talk, speaks_grpc) = (Arc::clone(&self.talk), self.speaks_grpc);
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(listener, talk, speaks_grpc) => {}
                    _ = stopped => {}
                }
            });
        });
        self.server = Some((stop, server));
    }

    /// Ends; whoever is connected is cut off.
    pub fn stop(&mut self) {
        if let Some((stop, server)) = self.server.take() {
            let _ = stop.send(());
            server.join().unwrap();
        }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on it says this, of a state at this height.
    pub fn say(&self, says: Says, height: u64) {
        self.talk.height.store(height, Ordering::Relaxed);
        *self.talk.says.lock().unwrap() = says;
    }

    /// How often it was asked for the plan.
    pub fn asked(&self) -> u64 {
        self.talk.asked.load(Ordering::Relaxed)
    }

    /// Waits until what it says now was heard: it was asked twice more, so that the first answer was taken in.
    pub fn wait_until_heard(&self) {
        let before = self.asked();
        crate::wait_until("the service to be asked", || self.asked() >= before + 2);
    }
}

impl Drop for PlanService {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(listener: std::net::TcpListener, talk: Arc<Talk>, speaks_grpc: bool) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let talk = Arc::clone(&talk);
        let answer = service_fn(move |request| answer(Arc::clone(&talk), speaks_grpc, request));
        // Clients that go away are their own problem.
        tokio::spawn(async move {
            let stream = TokioIo::new(stream);
            if speaks_grpc {
                drop(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(stream, answer)
                        .await,
                );
            } else {
                drop(hyper::server::conn::http1::Builder::new().serve_connection(stream, answer).await);
            }
        });
    }
}

async fn answer(
    talk: Arc<Talk>,
    speaks_grpc: bool,
    request: Request<Incoming>,
) -> Result<Response<Channel<Bytes, Infallible>>, Infallible> {
    let height = talk.height.load(Ordering::Relaxed);
    let says = match request.uri().path() {
        "/cosmos.upgrade.v1beta1.Query/CurrentPlan" | "/cosmos/upgrade/v1beta1/current_plan" => {
            talk.asked.fetch_add(1, Ordering::Relaxed);
            talk.says.lock().unwrap().clone()
        }
        "/cosmos.base.tendermint.v1beta1.Service/GetLatestBlock" => Says::Bytes(latest_block(height)),
        _ => Says::Refusal,
    };
    let body = match &says {
        Says::Silence => std::future::pending().await,
        Says::Endless => None,
        Says::Refusal => Some(Vec::new()),
        Says::Bytes(bytes) => Some(bytes.clone()),
        Says::NoPlan | Says::Plan { .. } if speaks_grpc => Some(message(&says)),
        Says::NoPlan => Some(json!({ "plan": null }).to_string().into_bytes()),
        Says::Plan { name, height, info } => {
            let plan = json!({ "name": name, "height": height.to_string(), "info": info });
            Some(json!({ "plan": plan }).to_string().into_bytes())
        }
    };
    let (mut sender, channel) = Channel::new(1);
    tokio::spawn(async move {
        let Some(body) = body else {
            while sender.send_data(Bytes::from(vec![0; 1 << 16])).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            return;
        };
        if !speaks_grpc {
            drop(sender.send_data(body.into()).await);
            return;
        }
        let is_refused = says == Says::Refusal;
        if !is_refused {
            let len = u32::try_from(body.len()).unwrap().to_be_bytes();
            drop(sender.send_data([&[0][..], &len, &body].concat().into()).await);
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", if is_refused { 12 } else { 0 }.into());
        drop(sender.send_trailers(trailers).await);
    });
    let response = if speaks_grpc {
        Response::builder().header("content-type", "application/grpc").header("x-cosmos-block-height", height)
    } else {
        let status = if says_nothing_known(&request) { 404 } else { 200 };
        Response::builder().status(status).header("grpc-metadata-x-cosmos-block-height", height)
    };
    Ok(response.body(channel).unwrap())
}

fn says_nothing_known(request: &Request<Incoming>) -> bool {
    request.uri().path() != "/cosmos/upgrade/v1beta1/current_plan"
}

/// The message of an answer about the plan.
fn message(says: &Says) -> Vec<u8> {
    let Says::Plan { name, height, info } = says else { return Vec::new() };
    let plan = [field(1, name.as_bytes()), number(3, *height), field(4, info.as_bytes())].concat();
    field(1, &plan)
}

/// The message of an answer about the latest block, with the parts that matter.
fn latest_block(height: u64) -> Vec<u8> {
    let block = field(1, &[field(2, b"chain"), number(3, height)].concat());
    [field(1, b""), field(2, &block)].concat()
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    [varint(u64::from(number) << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn number(field: u32, number: u64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(number)].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(0x80 | number.to_le_bytes()[0]);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}
