//! Seqline's default store: one data directory on one machine.
