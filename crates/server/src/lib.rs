//! HTTP and gRPC in front of a store: the only place that joins things.
