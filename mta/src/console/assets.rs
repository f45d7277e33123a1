//! The style and the script, which are part of the program.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/console.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("pages/console.js"))
}
