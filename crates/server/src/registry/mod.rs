//! Registration in etcd, as kratos services find each other; finding others is none of its work.
//!
//! [`Registrar`] does it, from the start of a server to its end: it holds a lease, attaches the
//! server's [`record`] to it, and renews it. Whatever fails is tried again for ever, on the next
//! member of etcd, and never touches a request. [`Standing`] is what it tells the rest of the
//! server. Under the prefix of a service nothing but records may ever be written: one value that
//! is no record keeps every kratos client from resolving the service.

mod address;
mod member;
mod record;
mod registrar;
mod standing;

pub use registrar::Registrar;
pub use standing::Standing;
