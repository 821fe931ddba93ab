package lifecycle;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import org.elasticsearch.Build;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.admin.indices.delete.DeleteIndexRequest;
import org.elasticsearch.action.admin.indices.forcemerge.ForceMergeRequest;
import org.elasticsearch.action.admin.indices.rollover.RolloverRequest;
import org.elasticsearch.action.admin.indices.settings.put.UpdateSettingsRequest;
import org.elasticsearch.action.support.IndicesOptions;
import org.elasticsearch.client.internal.IndicesAdminClient;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.metadata.ItemUsage;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.component.Lifecycle;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecycleSettings;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.WaitForRolloverReadyStep;
import org.elasticsearch.xpack.core.ilm.action.PutLifecycleRequest;

/** The stand-in in an Elasticsearch 8.19 or 9.5; also `GET /`, whose module is not on Maven Central either. */
public final class LifecyclePlugin extends Routes {
    private ClusterService cluster;
    private StandIn standIn;

    @Override
    public List<Setting<?>> getSettings() {
        return StandIn.settings();
    }

    @Override
    public List<NamedXContentRegistry.Entry> getNamedXContent() {
        return StandIn.actions();
    }

    @Override
    public Collection<?> createComponents(PluginServices services) {
        cluster = services.clusterService();
        standIn = new StandIn(
            new Newer(services.client().admin().indices(), cluster, services.indexNameExpressionResolver()));
        services.threadPool().scheduleWithFixedDelay(
            standIn::poll,
            LifecycleSettings.LIFECYCLE_POLL_INTERVAL_SETTING.get(services.environment().settings()),
            services.threadPool().generic());
        return List.of();
    }

    @Override
    Collection<RestHandler> routes() {
        return List.of(
            route(Method.PUT, "/_ilm/policy/{name}", (request, body) -> standIn.put(policy(request), body)),
            route(Method.GET, "/_ilm/policy", standIn::get),
            route(Method.GET, "/_ilm/policy/{name}", standIn::get),
            route(Method.DELETE, "/_ilm/policy/{name}", standIn::delete),
            route(Method.GET, "/_ilm/status", standIn::status),
            route(Method.GET, "/{index}/_ilm/explain", standIn::explain),
            route(Method.GET, "/", this::root)
        );
    }

    private void root(RestRequest request, XContentBuilder body) throws IOException {
        Build build = Build.current();
        body.startObject();
        body.field("name", cluster.getNodeName());
        body.field("cluster_name", cluster.getClusterName().value());
        body.field("cluster_uuid", cluster.state().metadata().clusterUUID());
        body.startObject("version");
        body.field("number", build.qualifiedVersion());
        body.field("build_flavor", build.flavor());
        body.field("build_type", build.type().displayName());
        body.field("build_hash", build.hash());
        body.field("build_date", build.date());
        body.field("build_snapshot", build.isSnapshot());
        body.field("minimum_wire_compatibility_version", build.minWireCompatVersion());
        body.field("minimum_index_compatibility_version", build.minIndexCompatVersion());
        body.endObject();
        body.field("tagline", "You Know, for Search");
        body.endObject();
    }

    private static LifecyclePolicy policy(RestRequest request) throws IOException {
        String name = request.param("name");
        var factory = new PutLifecycleRequest.Factory() {
            @Override
            public PutLifecycleRequest create(LifecyclePolicy policy) {
                return new PutLifecycleRequest(TimeValue.MAX_VALUE, TimeValue.MAX_VALUE, policy);
            }

            @Override
            public String getPolicyName() {
                return name;
            }
        };
        try (var parser = request.contentParser()) {
            PutLifecycleRequest asked = PutLifecycleRequest.parseRequest(factory, parser);
            ActionRequestValidationException wrong = asked.validate();
            if (wrong != null) {
                throw wrong;
            }
            return asked.getPolicy();
        }
    }

    private static RestHandler route(Method method, String path, Answer answer) {
        return new RestHandler() {
            @Override
            public List<Route> routes() {
                return List.of(new Route(method, path));
            }

            @Override
            public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) throws IOException {
                XContentBuilder body = channel.newBuilder();
                answer.write(request, body);
                channel.sendResponse(new RestResponse(RestStatus.OK, body));
            }
        };
    }

    private record Newer(IndicesAdminClient client, ClusterService cluster, IndexNameExpressionResolver resolver)
        implements Server {

        @Override
        public Iterable<IndexMetadata> indices() {
            boolean ours = cluster.lifecycleState() == Lifecycle.State.STARTED
                && cluster.state().nodes().isLocalNodeElectedMaster();
            return ours ? Project.of(cluster.state()) : List.of();
        }

        @Override
        public String[] indicesNamed(String expression) {
            return resolver.concreteIndexNames(cluster.state(), IndicesOptions.strictExpandOpen(), expression);
        }

        @Override
        public ItemUsage usage(String policy) {
            return Project.usage(resolver, cluster.state(), policy);
        }

        @Override
        public void rollOver(String alias, RolloverAction action) {
            boolean onlyIfHasDocuments =
                cluster.getClusterSettings().get(LifecycleSettings.LIFECYCLE_ROLLOVER_ONLY_IF_HAS_DOCUMENTS_SETTING);
            RolloverRequest request = new RolloverRequest(alias, null);
            request.setConditions(
                WaitForRolloverReadyStep.applyDefaultConditions(action.getConditions(), onlyIfHasDocuments));
            client.rolloverIndex(request).actionGet();
        }

        @Override
        public void set(String index, Settings settings) {
            client.updateSettings(new UpdateSettingsRequest(settings, index)).actionGet();
        }

        @Override
        public void forceMerge(String index, int segments) {
            client.forceMerge(new ForceMergeRequest(index).maxNumSegments(segments)).actionGet();
        }

        @Override
        public void delete(String index) {
            client.delete(new DeleteIndexRequest(index)).actionGet();
        }
    }
}
