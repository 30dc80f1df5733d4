//! Seqline's distributed store.
