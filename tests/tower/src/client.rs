//! The client, as generated code has it.

use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::Streaming;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::{IntoRequest, IntoStreamingRequest, Response, Status};
use tonic_prost::ProstCodec;

use crate::Order;

/// Calls the service by whatever is below: a channel, or a channel with a layer.
#[derive(Clone)]
pub struct OrdersClient<T>(Grpc<T>);

impl<T> OrdersClient<T>
where
    T: GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    /// A client over this.
    pub fn new(inner: T) -> Self {
        Self(Grpc::new(inner))
    }

    /// One message for one.
    pub async fn get(
        &mut self,
        request: impl IntoRequest<Order>,
    ) -> Result<Response<Order>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/orders.Orders/Get");
        let codec = ProstCodec::<Order, Order>::default();
        self.0.unary(request.into_request(), path, codec).await
    }

    /// Messages both ways.
    pub async fn follow(
        &mut self,
        request: impl IntoStreamingRequest<Message = Order>,
    ) -> Result<Response<Streaming<Order>>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/orders.Orders/Follow");
        let codec = ProstCodec::<Order, Order>::default();
        let request = request.into_streaming_request();
        self.0.streaming(request, path, codec).await
    }

    async fn ready(&mut self) -> Result<(), Status> {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::unknown(error.into().to_string()))
    }
}
