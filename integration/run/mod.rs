//! The bundled runtime, `plimsoll run`.

mod bundled;
mod inside;
