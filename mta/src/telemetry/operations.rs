//! The HTTP server of operators: `/metrics`, `/livez`, `/readyz`. It answers questions and changes nothing; it has no authentication, which is
//! why its address is a loopback one unless the configuration says otherwise.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::{Health, Metrics};

/// Recorded times wait this long at most for their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// The three pages.
pub fn router(metrics: Metrics, health: Health) -> Router {
    let pages = Pages { metrics, health };
    Router::new().route("/metrics", get(show_metrics)).route("/livez", get(live)).route("/readyz", get(ready)).with_state(pages)
}

/// Serves the pages, and keeps the metrics in order, until `shutdown`.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Health,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let upkeep = async {
        let mut interval = tokio::time::interval(UPKEEP);
        loop {
            interval.tick().await;
            metrics.upkeep();
        }
    };
    // Not graceful: a reader of metrics that keeps its connection open must not hold up the end.
    tokio::select! {
        ended = async { axum::serve(listener, router(metrics.clone(), health)).await } => ended,
        () = upkeep => Ok(()),
        () = shutdown => Ok(()),
    }
}

#[derive(Clone)]
struct Pages {
    metrics: Metrics,
    health: Health,
}

async fn show_metrics(State(pages): State<Pages>) -> Response {
    pages.metrics.ready(pages.health.is_ready());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], pages.metrics.render()).into_response()
}

async fn live(State(pages): State<Pages>) -> Response {
    match pages.health.broken() {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn ready(State(pages): State<Pages>) -> Response {
    let readiness = pages.health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "ready": readiness.ready, "components": readiness.components });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
