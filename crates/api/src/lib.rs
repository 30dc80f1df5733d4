//! Protobuf types, clients and servers of the frozen `timeline.v1` API and of kratos' metadata
//! service, and a client of the part of etcd's API that registers a service. Knows nothing of the
//! domain.
//!
//! The code in `generated/` is made from `proto/` by the test `generated`; so a build needs
//! neither `protoc` nor a build script.

/// `timeline.v1`: see `proto/timeline/v1/timeline.proto`.
pub mod timeline {
    #[allow(missing_docs, clippy::all)]
    pub mod v1 {
        include!("generated/timeline.v1.rs");
    }
}

/// `kratos.api`: see `proto/kratos/api/metadata.proto`.
pub mod kratos {
    #[allow(missing_docs, clippy::all)]
    pub mod api {
        include!("generated/kratos.api.rs");
    }
}

/// `etcdserverpb`: see `proto/etcd/rpc.proto`.
pub mod etcd {
    #[allow(missing_docs, clippy::all)]
    pub mod v3 {
        include!("generated/etcdserverpb.rs");
    }
}

/// An encoded `google.protobuf.FileDescriptorSet` of everything that is served, dependencies first.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptors.bin");
