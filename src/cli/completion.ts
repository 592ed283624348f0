/** `coterie completion`: what a shell needs to finish a command line, made from the commands themselves. */
import type { Command } from 'commander';
import { usage } from './exit.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const addCompletionCommand = (program: Command): void => {
  program
    .command('completion')
    .argument('<shell>', SHELLS.join(', '))
    .description('print the completion script of a shell')
    .addHelpText(
      'after',
      '\nExample:\n  source <(coterie completion bash)\n  coterie completion fish > ~/.config/fish/completions/coterie.fish\n',
    )
    .action((shell: string) => {
      const known = SHELLS.find((each) => each === shell);
      if (known === undefined)
        throw usage(`completion: expected ${SHELLS.join(', ')}, found ${shell}`);
      process.stdout.write(scriptOf(known, wordsOf(program)));
    });
};

/** What may follow each command, by its words: `ring` → `show owners --help`. */
type Words = ReadonlyMap<string, readonly string[]>;

const wordsOf = (program: Command): Words => {
  const words = new Map<string, readonly string[]>();
  const walk = (command: Command, path: string): void => {
    const options = command.options.filter(({ hidden }) => !hidden);
    words.set(path, [
      ...command.commands.map((each) => each.name()),
      ...options.flatMap(({ long }) => (long == null ? [] : [long])),
      '--help',
    ]);
    for (const each of command.commands)
      walk(each, path === '' ? each.name() : `${path} ${each.name()}`);
  };
  walk(program, '');
  return words;
};

const scriptOf = (shell: (typeof SHELLS)[number], words: Words): string => {
  if (shell === 'fish') return fishOf(words);
  const head = shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : '';
  return head + bashOf(words);
};

const bashOf = (words: Words): string =>
  `_coterie() {
  local at="" word candidates
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$at $word" in
${[...words.keys()]
  .filter((path) => path !== '')
  .map((path) => {
    const parts = path.split(' ');
    const before = parts.slice(0, -1).join(' ');
    return `      "${before} ${parts.at(-1)}") at="${path}" ;;`;
  })
  .join('\n')}
    esac
  done
  case "$at" in
${[...words].map(([path, list]) => `    "${path}") candidates="${list.join(' ')}" ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _coterie coterie
`;

const fishOf = (words: Words): string =>
  [...words]
    .map(([path, list]) => {
      const seen = path.split(' ').filter((part) => part !== '');
      const condition =
        seen.length === 0
          ? '__fish_use_subcommand'
          : seen.map((part) => `__fish_seen_subcommand_from ${part}`).join('; and ');
      return `complete -c coterie -n '${condition}' -a '${list.join(' ')}'`;
    })
    .concat('')
    .join('\n');
