package lifecycle;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.function.Supplier;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.action.admin.indices.delete.DeleteIndexRequest;
import org.elasticsearch.action.admin.indices.forcemerge.ForceMergeRequest;
import org.elasticsearch.action.admin.indices.rollover.RolloverRequest;
import org.elasticsearch.action.admin.indices.settings.put.UpdateSettingsRequest;
import org.elasticsearch.action.support.IndicesOptions;
import org.elasticsearch.client.Client;
import org.elasticsearch.client.IndicesAdminClient;
import org.elasticsearch.client.node.NodeClient;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.metadata.ItemUsage;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.component.Lifecycle;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.IndexScopedSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.settings.SettingsFilter;
import org.elasticsearch.env.Environment;
import org.elasticsearch.env.NodeEnvironment;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.repositories.RepositoriesService;
import org.elasticsearch.rest.BytesRestResponse;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestRequest.Method;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.script.ScriptService;
import org.elasticsearch.threadpool.ThreadPool;
import org.elasticsearch.watcher.ResourceWatcherService;
import org.elasticsearch.xcontent.NamedXContentRegistry;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicy;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicyUtils;
import org.elasticsearch.xpack.core.ilm.LifecycleSettings;
import org.elasticsearch.xpack.core.ilm.RolloverAction;
import org.elasticsearch.xpack.core.ilm.action.PutLifecycleAction;

/** The stand-in in an Elasticsearch 7.17. */
public final class LifecyclePlugin extends Plugin implements ActionPlugin {
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
    public Collection<Object> createComponents(
        Client client, ClusterService cluster, ThreadPool threads, ResourceWatcherService watcher, ScriptService scripts,
        NamedXContentRegistry contents, Environment environment, NodeEnvironment node, NamedWriteableRegistry writeables,
        IndexNameExpressionResolver resolver, Supplier<RepositoriesService> repositories
    ) {
        standIn = new StandIn(new Seven(client.admin().indices(), cluster, resolver));
        threads.scheduleWithFixedDelay(
            standIn::poll, LifecycleSettings.LIFECYCLE_POLL_INTERVAL_SETTING.get(environment.settings()), ThreadPool.Names.GENERIC);
        return List.of();
    }

    @Override
    public List<RestHandler> getRestHandlers(
        Settings settings, RestController controller, ClusterSettings clusterSettings, IndexScopedSettings indexSettings,
        SettingsFilter filter, IndexNameExpressionResolver resolver, Supplier<DiscoveryNodes> nodes
    ) {
        return List.of(
            route(Method.PUT, "/_ilm/policy/{name}", (request, body) -> standIn.put(policy(request), body)),
            route(Method.GET, "/_ilm/policy", standIn::get),
            route(Method.GET, "/_ilm/policy/{name}", standIn::get),
            route(Method.DELETE, "/_ilm/policy/{name}", standIn::delete),
            route(Method.GET, "/_ilm/status", standIn::status),
            route(Method.GET, "/{index}/_ilm/explain", standIn::explain)
        );
    }

    private static LifecyclePolicy policy(RestRequest request) throws IOException {
        try (var parser = request.contentParser()) {
            var asked = PutLifecycleAction.Request.parseRequest(request.param("name"), parser);
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
                channel.sendResponse(new BytesRestResponse(RestStatus.OK, body));
            }
        };
    }

    private record Seven(IndicesAdminClient client, ClusterService cluster, IndexNameExpressionResolver resolver)
        implements Server {

        @Override
        public Iterable<IndexMetadata> indices() {
            boolean ours = cluster.lifecycleState() == Lifecycle.State.STARTED
                && cluster.state().nodes().isLocalNodeElectedMaster();
            return ours ? cluster.state().metadata() : List.of();
        }

        @Override
        public String[] indicesNamed(String expression) {
            return resolver.concreteIndexNames(cluster.state(), IndicesOptions.strictExpandOpen(), expression);
        }

        @Override
        public ItemUsage usage(String policy) {
            return LifecyclePolicyUtils.calculateUsage(resolver, cluster.state(), policy);
        }

        @Override
        public void rollOver(String alias, RolloverAction action) {
            RolloverRequest request = new RolloverRequest(alias, null);
            if (action.getMaxAge() != null) {
                request.addMaxIndexAgeCondition(action.getMaxAge());
            }
            if (action.getMaxDocs() != null) {
                request.addMaxIndexDocsCondition(action.getMaxDocs());
            }
            if (action.getMaxSize() != null) {
                request.addMaxIndexSizeCondition(action.getMaxSize());
            }
            if (action.getMaxPrimaryShardSize() != null) {
                request.addMaxPrimaryShardSizeCondition(action.getMaxPrimaryShardSize());
            }
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
