import { Option } from 'commander';

/** `--kubeconfig`, with the same words for every command. */
export function createKubeconfigOption(): Option {
  return new Option(
    '--kubeconfig <file>',
    'how to reach the API server; without it: $KUBECONFIG, the pod this runs in, or ~/.kube/config',
  );
}
