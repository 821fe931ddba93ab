package lifecycle;

import java.util.List;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.metadata.IndexMetadata;
import org.elasticsearch.cluster.metadata.IndexNameExpressionResolver;
import org.elasticsearch.cluster.metadata.ItemUsage;
import org.elasticsearch.xpack.core.ilm.LifecyclePolicyUsageCalculator;

/** Elasticsearch 9 divides a cluster into projects; here there is one. */
final class Project {
    private Project() {}

    static Iterable<IndexMetadata> of(ClusterState state) {
        return state.metadata().getProject();
    }

    static ItemUsage usage(IndexNameExpressionResolver resolver, ClusterState state, String policy) {
        var calculator = new LifecyclePolicyUsageCalculator(resolver, state.metadata().getProject(), List.of(policy));
        return calculator.retrieveCalculatedUsage(policy);
    }
}
