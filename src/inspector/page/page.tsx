import { render } from 'preact';

render(<p>The inspector is on its way.</p>, document.getElementById('page')!);
