//! What a client can ask about the services: kratos' metadata, and reflection.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use seqline_api::kratos::api::metadata_server::{self, MetadataServer};
use seqline_api::kratos::api::{
    GetServiceDescReply, GetServiceDescRequest, ListServicesReply, ListServicesRequest,
};
use tonic::{Request, Response, Status};
use tonic_reflection::pb as reflection;
use tower::util::BoxCloneSyncService;

use super::Side;

/// Descriptors of everything the server serves.
const DESCRIPTORS: [&[u8]; 4] = [
    seqline_api::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    reflection::v1::FILE_DESCRIPTOR_SET,
    reflection::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Metadata, and reflection in both its versions.
pub(super) fn services() -> Vec<Side> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure();
        DESCRIPTORS
            .into_iter()
            .fold(builder.include_reflection_service(false), |builder, descriptors| {
                builder.register_encoded_file_descriptor_set(descriptors)
            })
    };
    let built_in = "the descriptors that were compiled in are valid";
    let new = builder().build_v1().expect(built_in);
    let old = builder().build_v1alpha().expect(built_in);
    let metadata = MetadataServer::new(Metadata::new());
    vec![
        ("kratos.api.Metadata", BoxCloneSyncService::new(metadata)),
        ("grpc.reflection.v1.ServerReflection", BoxCloneSyncService::new(new)),
        ("grpc.reflection.v1alpha.ServerReflection", BoxCloneSyncService::new(old)),
    ]
}

/// `kratos.api.Metadata`.
struct Metadata {
    files: BTreeMap<String, FileDescriptorProto>,
    /// Each service's file and methods.
    services: BTreeMap<String, (String, Vec<String>)>,
}

impl Metadata {
    fn new() -> Metadata {
        let (mut files, mut services) = (BTreeMap::new(), BTreeMap::new());
        for descriptors in DESCRIPTORS {
            let set = FileDescriptorSet::decode(descriptors);
            for file in set.expect("the descriptors that were compiled in are valid").file {
                for service in &file.service {
                    let name = format!("{}.{}", file.package(), service.name());
                    let path = |method: &prost_types::MethodDescriptorProto| {
                        format!("/{name}/{}", method.name())
                    };
                    let methods = service.method.iter().map(path).collect();
                    services.insert(name.clone(), (file.name().to_owned(), methods));
                }
                files.insert(file.name().to_owned(), file);
            }
        }
        Metadata { files, services }
    }

    /// The file called `name` after all it depends on, each once.
    fn collect(&self, name: &str, found: &mut Vec<FileDescriptorProto>) {
        let Some(file) = self.files.get(name) else { return };
        if found.iter().any(|known| known.name() == name) {
            return;
        }
        for dependency in &file.dependency {
            self.collect(dependency, found);
        }
        found.push(file.clone());
    }
}

#[tonic::async_trait]
impl metadata_server::Metadata for Metadata {
    async fn list_services(
        &self,
        _: Request<ListServicesRequest>,
    ) -> Result<Response<ListServicesReply>, Status> {
        let mut methods: Vec<_> =
            self.services.values().flat_map(|(_, methods)| methods.iter().cloned()).collect();
        methods.sort_unstable();
        let services = self.services.keys().cloned().collect();
        Ok(Response::new(ListServicesReply { services, methods }))
    }

    async fn get_service_desc(
        &self,
        request: Request<GetServiceDescRequest>,
    ) -> Result<Response<GetServiceDescReply>, Status> {
        let name = &request.get_ref().name;
        let Some((file, _)) = self.services.get(name) else {
            return Err(Status::not_found(format!("service {name} not found")));
        };
        let mut set = FileDescriptorSet::default();
        self.collect(file, &mut set.file);
        Ok(Response::new(GetServiceDescReply { file_desc_set: Some(set) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_a_service_needs_is_known_and_comes_before_it() {
        let metadata = Metadata::new();
        for (service, (file, _)) in &metadata.services {
            let mut found = Vec::new();
            metadata.collect(file, &mut found);
            assert_eq!(found.last().map(FileDescriptorProto::name), Some(&**file), "{service}");
            for (index, file) in found.iter().enumerate() {
                for dependency in &file.dependency {
                    assert!(
                        found[..index].iter().any(|earlier| earlier.name() == dependency),
                        "{service}: {dependency} comes before {}",
                        file.name()
                    );
                }
            }
        }
    }
}
