import type { Command, Help, Option } from 'commander';

import { formatMarkdownTable } from './markdown-table.ts';

const INTRODUCTION = `<!-- Made by \`npm run reference\` from src/cli; do not edit. -->

# Commands

\`npm start --silent --\` begins a command from a clone, \`node /app/main.mjs\` in the pod of the controller:

\`\`\`sh
DOCKER_CONFIG=~/.docker npm start --silent -- plan --kubeconfig ~/.kube/config
kubectl exec -n backup-image-registry deploy/k8s-backup-image-registry-controller -- node /app/main.mjs plan
\`\`\`

Without a command it is \`run\`. \`--help\` after a command explains it; \`--version\` instead of one prints the version.
`;

function formatDefault({ defaultValue, defaultValueDescription }: Option): string {
  const text = defaultValueDescription ?? (defaultValue === false ? 'off' : defaultValue);
  return text === undefined ? '' : `\`${String(text)}\``;
}

function formatMeaning({ description, argChoices }: Option): string {
  const choices = argChoices?.map((choice) => `\`${choice}\``).join(', ');
  return choices === undefined ? description : `${description}: ${choices}`;
}

/** What the help of a command says besides its flags: where settings come from, and the exit codes. */
function readNotes(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut(part) {
      text += part;
    },
  });
  command.outputHelp();
  return text.replace(command.helpInformation(), '').trim();
}

function formatCommand(command: Command, help: Help): string {
  const operands = command.registeredArguments.map((argument) => [
    `\`[${argument.name()}]\``,
    '',
    argument.description,
  ]);
  const flags = help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help')
    .map((option) => [`\`${option.flags}\``, formatDefault(option), formatMeaning(option)]);
  return `## ${command.name()}

${command.description()}

${formatMarkdownTable(['argument or flag', 'default', 'meaning'], [...operands, ...flags])}

\`\`\`text
${readNotes(command)}
\`\`\`
`;
}

/** The page docs/reference/commands.md. */
export function formatCommandsPage(program: Command): string {
  const help = program.createHelp();
  return [INTRODUCTION, ...program.commands.map((command) => formatCommand(command, help))].join('\n');
}
